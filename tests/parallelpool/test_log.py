"""Log output: form, levels, what it survives."""

import errno
import io
import json
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from aiohttp.http_exceptions import BadHttpMessage

from config.schema import LogConfig
from parallelpool import log
from parallelpool.errors import StartFailure


@pytest.fixture(autouse=True)
def _restored_logging() -> Iterator[None]:
    """Puts both logging libraries back as they were."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(capture=False)
    root.handlers, root.level = handlers, level
    logging.getLogger("aiohttp.server").removeFilter(log.CLIENT_FAULTS)
    structlog.reset_defaults()


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def logged(settings: LogConfig, verbosity: int = 3, stream: io.StringIO | None = None) -> io.StringIO:
    """Sets logging up on a stream in memory."""
    stream = stream or io.StringIO()
    log.set_up(settings, verbosity, stream)
    return stream


def test_lines_are_json_where_nobody_watches() -> None:
    """
    One object per line with the event, its fields, level, logger and time; bytes as hex, wei in full.
    """
    stream = logged(LogConfig())

    structlog.get_logger("parallelpool.pool").info("block sealed", number=7, hash=b"\x01\xff", value=10**30)

    (line,) = stream.getvalue().splitlines()
    entry = json.loads(line)
    assert entry.pop("timestamp").endswith("Z")
    assert entry == {
        "event": "block sealed",
        "hash": "0x01ff",
        "level": "info",
        "logger": "parallelpool.pool",
        "number": 7,
        "value": 10**30,
    }


def test_lines_are_readable_on_a_terminal() -> None:
    """
    The event and its fields, not JSON.
    """
    stream = logged(LogConfig(), stream=Terminal())

    structlog.get_logger("parallelpool.pool").info("block sealed", number=7)

    assert "block sealed" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_a_named_form_wins_over_the_terminal() -> None:
    """
    --log.format json is JSON on a terminal too, logfmt is logfmt anywhere.
    """
    as_json = logged(LogConfig(format="json"), stream=Terminal())
    structlog.get_logger().info("here")
    as_logfmt = logged(LogConfig(format="logfmt"))
    structlog.get_logger().info("two words", n=1)

    assert json.loads(as_json.getvalue())["event"] == "here"
    assert 'level=info event="two words" n=1' in as_logfmt.getvalue()


@pytest.mark.parametrize("verbosity", range(6))
def test_verbosity_is_geths(verbosity: int) -> None:
    """
    0 is silent; each step shows one more of error, warning, info, debug, trace.
    """
    stream = logged(LogConfig(), verbosity)
    logger = structlog.get_logger()
    for level in ("error", "warning", "info", "debug"):
        getattr(logger, level)(level)

    logging.getLogger("library").info("of a library")

    shown = [json.loads(line)["event"] for line in stream.getvalue().splitlines()]
    assert shown[:4] == ["error", "warning", "info", "debug"][:verbosity]
    assert ("of a library" in shown) == (verbosity >= 4)


def test_libraries_come_out_in_the_same_form() -> None:
    """
    Warnings and above of the standard library's loggers, and Python's own warnings.
    """
    stream = logged(LogConfig())
    logging.getLogger("asyncio").info("chatter")
    logging.getLogger("asyncio").error("task %s died", 5)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old thing", UserWarning, stacklevel=1)

    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (first["event"], first["logger"], first["level"]) == ("task 5 died", "asyncio", "error")
    assert "old thing" in second["event"]


@pytest.mark.parametrize("settings", [LogConfig(format="terminal"), LogConfig(format="logfmt"), LogConfig()])
def test_tracebacks_show_no_variables(settings: LogConfig) -> None:
    """
    An exception's lines are there, the values of local variables are not: they may be secrets.
    """
    stream = logged(settings)

    def fail(secret: int) -> None:
        if secret:
            raise ValueError("it broke")

    try:
        fail(0x5EC12E7)
    except ValueError:
        structlog.get_logger().exception("failed")

    assert "it broke" in stream.getvalue()
    assert str(0x5EC12E7) not in stream.getvalue()


def test_a_file_is_appended_to(tmp_path: Path) -> None:
    """
    Lines of an earlier run stay.
    """
    path = tmp_path / "node.log"
    path.write_text("before\n")
    log.set_up(LogConfig(file=path), 3)

    structlog.get_logger().info("after")

    first, second = path.read_text().splitlines()
    assert first == "before"
    assert json.loads(second)["event"] == "after"
    (handler,) = logging.getLogger().handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.stream.close()


def test_a_file_that_cannot_be_opened_is_a_failed_start(tmp_path: Path) -> None:
    """
    The message names it.
    """
    with pytest.raises(StartFailure, match="cannot open the log file"):
        log.set_up(LogConfig(file=tmp_path), 3)


def test_a_closed_stream_costs_lines_only() -> None:
    """
    A reader that went away does not stop the daemon.
    """
    stream = logged(LogConfig())
    stream.close()

    structlog.get_logger().info("nobody hears this")


class FullDisk(io.StringIO):
    """A file that takes nothing."""

    def write(self, _text: str, /) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_costs_lines_only() -> None:
    """A log that cannot be written does not stop the daemon."""
    log.set_up(LogConfig(), 3, FullDisk())

    structlog.get_logger().error("nobody reads this")


@pytest.mark.parametrize(
    ("error", "written"),
    [(ConnectionResetError("gone"), False), (BadHttpMessage("no HTTP"), False), (ValueError("a bug"), True)],
)
def test_clients_faults_are_no_errors_of_the_server(error: Exception, written: bool) -> None:
    """aiohttp's error about a client that hangs up or speaks no HTTP is not written; one about a bug is."""
    stream = logged(LogConfig())

    logging.getLogger("aiohttp.server").error("Error handling request", exc_info=error)

    assert ("a bug" in stream.getvalue()) == written
    assert bool(stream.getvalue()) == written


def test_clients_faults_are_shown_to_who_looks_for_them() -> None:
    """With the highest verbosity they are a debug line, without a traceback."""
    stream = logged(LogConfig(), 5)

    logging.getLogger("aiohttp.server").error("Error handling request", exc_info=ConnectionResetError("gone"))

    assert json.loads(stream.getvalue())["level"] == "debug"
    assert "exception" not in stream.getvalue()
