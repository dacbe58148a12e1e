"""The texts made from the schema."""

import re
from pathlib import Path

from config.options import options, sections
from config.reference import DEVNET, REFERENCE_PAGE, devnet_toml, help_text, reference_page
from config.schema import NodeConfig
from tests.config.settings import load_toml, load_words


def test_the_written_reference_is_the_schemas() -> None:
    """
    docs/config.md is what `make docs` writes.
    """
    assert REFERENCE_PAGE.read_text(encoding="utf-8") == reference_page(), "run `make docs`"


def test_the_written_example_is_the_schemas() -> None:
    """
    config/devnet.toml is what `make docs` writes.
    """
    assert DEVNET.read_text(encoding="utf-8") == devnet_toml(), "run `make docs`"


def test_the_example_loads_to_the_defaults_with_and_without_its_comment_marks(tmp_path: Path) -> None:
    """
    As it stands it sets nothing; with every line that has a value uncommented it sets the defaults.
    """
    is_setting = re.compile(r"#[a-z]")
    lines = devnet_toml().splitlines()
    settings = [line for line in lines if is_setting.match(line)]
    uncommented = [line[1:] if is_setting.match(line) and not line.endswith("=") else line for line in lines]

    assert len(settings) == len(options())
    assert load_words(["--config", str(DEVNET)]) == load_words([])
    assert load_toml(tmp_path, "\n".join(uncommented)) == load_words([])


def test_help_lists_every_flag_once_with_its_default() -> None:
    """
    Each flag begins a line of its own, and lines keep within the width.
    """
    lines = list(help_text(sections(), 100))
    flags = [line.split()[0] for line in lines if line.startswith("  --")]

    assert flags == [option.flag for option in options()]
    assert max(len(line) for line in lines) <= 100
    assert "(default: 5120)" in " ".join(lines)


def test_help_is_grouped_by_section() -> None:
    """
    Every section has a heading.
    """
    lines = list(help_text(sections(), 100))
    headings = [line for line in lines if line and not line.startswith(" ")]

    assert len(headings) == len(sections())
    assert sections()[0].title == NodeConfig.__doc__
