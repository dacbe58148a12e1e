"""
The command line: words in, settings by name and free arguments out.

As geth reads it: `--flag value`, `--flag=value`, a switch alone is true and takes its value only after `=`, one
dash is as good as two, the last of several wins, `--` ends the flags. Every problem is kept; none is guessed away.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from config.options import Option
from config.refused import refusal

CONFIG = Option(
    attributes=("config",),
    type=Path,
    is_optional=True,
    checks=(),
    default=None,
    text="TOML file with settings; `parallelpool dumpconfig` writes one. As geth.",
)
"""Names the file, so it cannot stand in it."""


@dataclass(frozen=True, slots=True)
class CommandLine:
    """What the words said."""

    settings: tuple[tuple[Option, str], ...]
    """In the order given."""
    arguments: tuple[str, ...]
    """Words that are no flags."""
    problems: tuple[str, ...]
    asks_help: bool
    asks_version: bool


def read_command_line(words: Sequence[str], options: Iterable[Option]) -> CommandLine:
    """Sorts the words; reads no values."""
    known = {option.name: option for option in options}
    settings: list[tuple[Option, str]] = []
    arguments: list[str] = []
    problems: list[str] = []
    asks: set[str] = set()
    rest = list(reversed(words))
    while rest:
        word = rest.pop()
        if word == "--":
            arguments.extend(reversed(rest))
            break
        if not word.startswith("-") or word == "-":
            arguments.append(word)
            continue
        name, equals, value = word.lstrip("-").partition("=")
        option = known.get(name)
        if name in ("help", "h", "version", "v") and option is None:
            asks.add(name[0])
        elif option is None:
            problems.append(_unknown_flag(name, known))
            if not equals and rest and not rest[-1].startswith("-"):
                rest.pop()  # most likely its value: one mistake, one message
        elif equals:
            settings.append((option, value))
        elif option.is_switch:
            settings.append((option, "true"))
            if rest and rest[-1] in ("true", "false"):
                problems.append(f"--{name}: write --{name}={rest.pop()}")
        elif rest and not rest[-1].startswith("--"):
            settings.append((option, rest.pop()))
        else:
            problems.append(f"--{name}: flag needs an argument")
    return CommandLine(tuple(settings), tuple(arguments), tuple(problems), "h" in asks, "v" in asks)


def _unknown_flag(name: str, known: Mapping[str, Option]) -> str:
    flags = {option.name: option.flag for option in known.values()}
    return unknown_name(f"--{name}", name, flags, "flag provided but not defined")


def unknown_name(shown: str, name: str, known: Mapping[str, str], words: str = "no such setting") -> str:
    """
    The problem with a name that is no setting's: a flag of geth's that is not offered, or a misspelling.

    `known` says for each setting's name how it is spelt where the unknown one stood.
    """
    reason = refusal(name)
    if reason is not None:
        return f"{shown}: not supported: {reason}"
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
    return f"{shown}: {words}" + (f", did you mean {known[near[0]]}?" if near else "")
