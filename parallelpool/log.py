"""
Log output: set up once, here, for this program and for the libraries that log through the standard library.

Lines go to standard error or to a file: readable ones on a terminal, one JSON object each otherwise. An event is
a fixed phrase, values are fields; bytes are written as 0x hex. Levels are geth's `--verbosity`.
"""

import logging
import sys
from collections.abc import Sequence
from typing import Final, TextIO

import structlog
from aiohttp.http_exceptions import HttpProcessingError
from structlog.typing import EventDict, Processor, WrappedLogger

from config.schema import LogConfig
from parallelpool.errors import StartFailure

LEVELS: Final = (
    logging.CRITICAL,
    logging.ERROR,
    logging.WARNING,
    logging.INFO,
    logging.DEBUG,
    logging.NOTSET,
)
"""Of our own lines, by verbosity: 0 silent, 1 error, 2 warning, 3 info, 4 debug, 5 trace."""

LIBRARY_LEVELS: Final = (*LEVELS[:3], logging.WARNING, logging.INFO, logging.DEBUG)
"""Of libraries' lines: they speak one step later than we do."""


class ClientFaults(logging.Filter):
    """
    Lowers what aiohttp says about clients that hang up or speak no HTTP to a debug line without traceback.

    aiohttp logs them as errors of the server, and whoever can reach the port could fill the log with them.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written."""
        fault = record.exc_info[1] if record.exc_info else None
        if not isinstance(fault, HttpProcessingError | ConnectionError):
            return True
        record.exc_info = None
        record.levelno, record.levelname = logging.DEBUG, logging.getLevelName(logging.DEBUG)
        return logging.getLogger(record.name).isEnabledFor(logging.DEBUG)


CLIENT_FAULTS: Final = ClientFaults()
"""One for all set-ups: a logger takes the same filter once."""


class LineLogger:
    """Writes finished lines to a stream; the end of every logger's chain. A line is written whole or not at all."""

    def __init__(self, stream: TextIO, name: str | None) -> None:
        self.name = name
        self._stream = stream

    def msg(self, line: str) -> None:
        """A reader that has gone away (a closed pipe) or a full disk costs log lines, not the daemon."""
        try:
            self._stream.write(f"{line}\n")
            self._stream.flush()
        except (OSError, ValueError):  # ValueError: the stream was closed
            return

    log = debug = info = warn = warning = error = critical = exception = fatal = failure = msg


def set_up(settings: LogConfig, verbosity: int, stream: TextIO | None = None) -> None:
    """
    Sets up all logging; called once at start. `stream` is standard error unless a file is configured.

    Raises StartFailure if the log file cannot be opened.
    """
    stream = _open(settings) or stream or sys.stderr
    style = settings.format
    if style == "auto":
        style = "terminal" if stream.isatty() else "json"
    early: Sequence[Processor] = (
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(
            fmt="%m-%d|%H:%M:%S.%f" if style == "terminal" else "iso", utc=style != "terminal"
        ),
        hex_bytes,
    )
    late = _renderers(style, has_colours=stream.isatty())
    structlog.configure(
        processors=[*early, *late],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[verbosity]),
        logger_factory=lambda *names: LineLogger(stream, names[0] if names else None),
        cache_logger_on_first_use=True,
    )
    _route_libraries(early, late, stream, LIBRARY_LEVELS[verbosity])


def hex_bytes(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Hashes and addresses as 0x hex."""
    for key, value in event.items():
        if isinstance(value, bytes):
            event[key] = f"0x{value.hex()}"
    return event


def _open(settings: LogConfig) -> TextIO | None:
    if settings.file is None:
        return None
    try:
        return settings.file.open("a", encoding="utf-8")
    except OSError as error:
        raise StartFailure(f"cannot open the log file {settings.file}: {error.strerror}") from error


def _renderers(style: str, *, has_colours: bool) -> list[Processor]:
    # Tracebacks are plain: with local variables they would show whatever passes through the daemon.
    if style == "terminal":
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(colors=has_colours, pad_event_to=40, exception_formatter=plain)]
    if style == "logfmt":
        lines = structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"])
        return [structlog.processors.format_exc_info, lines]
    # Not orjson: amounts of wei are wider than the 64 bits that it writes.
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]


def _route_libraries(
    early: Sequence[Processor], late: Sequence[Processor], stream: TextIO, level: int
) -> None:
    """Lines of libraries come out in the same form."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=early,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *late],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    logging.getLogger("aiohttp.server").addFilter(CLIENT_FAULTS)
    logging.captureWarnings(capture=True)
