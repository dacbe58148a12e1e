"""The image: what its file says, and its make targets run in a clean directory."""

import fnmatch
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

import parallelpool
from tests.public_data import REPOSITORY
from tests.repository import files, make

MAKE_CALL = re.compile(r"make ([a-z-]+)((?: [A-Z]+=\S+)*)")


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, continued lines joined, without comments."""
    text = re.sub(r"^\s*#.*\n", "", (REPOSITORY / "Dockerfile").read_text(), flags=re.MULTILINE)
    joined = re.sub(r"\\\n\s*", "", text)
    return [
        (line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in joined.splitlines() if line.strip()
    ]


def arguments(instruction: str) -> list[str]:
    """The arguments of every `instruction`, in order."""
    return [rest for name, rest in instructions() if name == instruction]


def last_stage() -> list[tuple[str, str]]:
    """The instructions that make the image which runs."""
    everything = instructions()
    begin = max(index for index, (name, _) in enumerate(everything) if name == "FROM")
    return everything[begin:]


def test_run_lines_call_only_make_targets() -> None:
    """
    What the image does, anybody can do: each RUN line is one documented target.
    """
    documented = set(
        re.findall(r"^([a-z-]+):.*## ", (REPOSITORY / "Makefile").read_text(), flags=re.MULTILINE)
    )
    calls = [MAKE_CALL.fullmatch(line) for line in arguments("RUN")]

    assert calls
    assert all(call is not None and call[1] in documented for call in calls), arguments("RUN")


def test_the_image_runs_without_root_on_a_slim_base() -> None:
    """
    Several stages, a slim last one, a numeric user, a volume for the data, no import from the working directory.
    """
    stage = dict(last_stage())

    assert len(arguments("FROM")) > 1
    assert "slim" in stage["FROM"]
    assert re.fullmatch(r"[1-9][0-9]*:[1-9][0-9]*", stage["USER"])
    assert stage["VOLUME"] == "/data"
    assert "PYTHONSAFEPATH=1" in stage["ENV"]
    assert "PARALLELPOOL_DATADIR=/data" in stage["ENV"]
    assert stage["ENTRYPOINT"] == '["parallelpool"]'
    assert "RUN" not in stage


def test_builder_and_runtime_have_one_python() -> None:
    """
    The virtual environment is copied, so the interpreter behind it must be the same.
    """
    pythons = {match[0] for line in arguments("FROM") if (match := re.search(r"python:[0-9.]+", line))}

    assert len(pythons) == 1


def test_the_toolchain_is_the_pinned_one() -> None:
    """
    The image's compiler is that of rust-toolchain.toml.
    """
    (pinned,) = re.findall(r'channel = "([0-9.]+)"', (REPOSITORY / "rust-toolchain.toml").read_text())

    assert any(line.startswith(f"rust:{pinned}-") for line in arguments("FROM"))
    assert any(f"RUSTUP_TOOLCHAIN={pinned}" in line for line in arguments("ENV"))


def context_files() -> list[str]:
    """The files that `.dockerignore` lets into the build."""
    lines = [
        line for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line[:1] not in ("", "#")
    ]
    assert lines[0] == "*"
    wanted = [line[1:] for line in lines if line.startswith("!")]
    unwanted = [line for line in lines[1:] if not line.startswith("!")]
    return [
        path
        for path in files()
        if any(fnmatch.fnmatch(path.split("/")[0], pattern) for pattern in wanted)
        and not any(fnmatch.fnmatch(f"/{path}", pattern.replace("**/", "*/")) for pattern in unwanted)
    ]


@pytest.mark.timeout(900)
def test_the_same_targets_build_a_working_program_in_a_clean_directory() -> None:
    """
    From the build context alone: the wheel holds the four packages, and the installed program runs from anywhere.

    The directory lies at a fixed place in the target directory and keeps the sources' times, so that cargo
    finds its dependencies compiled; the profile is the daily one.
    """
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")).resolve()
    room = target / "clean-room"
    shutil.rmtree(room, ignore_errors=True)
    for path in context_files():
        (room / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / path, room / path)
    prefix = room / "installed"
    environment = {"PROFILE": "release", "CARGO_TARGET_DIR": str(target)}

    for line in arguments("RUN"):
        words = [re.sub(r"^PREFIX=.*", f"PREFIX={prefix}", word) for word in line.split()[1:]]
        outcome = make(*words, folder=room, environment=environment, timeout_s=800)
        assert outcome.returncode == 0, outcome.stderr[-3_000:]

    (wheel,) = (room / "dist").glob("*.whl")
    top = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in top if not name.endswith(".dist-info")} == {
        "parallelpool",
        "rpc",
        "metrics",
        "config",
    }
    assert (prefix / "data").is_dir()
    printed = subprocess.run(
        [prefix / "bin" / "parallelpool", "version"],
        cwd="/",
        env={"PYTHONSAFEPATH": "1", "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert printed.stdout.startswith(f"parallelpool {parallelpool.__version__} ")
    shutil.rmtree(room)
