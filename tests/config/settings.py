"""Loads configurations for tests, from words, variables and a file's text."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from config import NodeConfig, load
from config.flags import CONFIG, read_command_line
from config.options import options
from parallelpool.errors import ConfigurationError


def load_words(words: Sequence[str] = (), environment: Mapping[str, str] | None = None) -> NodeConfig:
    """The configuration from a command line; the command line's own problems come with the rest."""
    line = read_command_line(words, [*options(), CONFIG])
    return load(line.settings, environment or {}, line.problems)


def load_toml(folder: Path, text: str | bytes, words: Sequence[str] = ()) -> NodeConfig:
    """The configuration from a file with `text`, and flags."""
    path = folder / "node.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_words(["--config", str(path), *words])


def problems(words: Sequence[str] = (), environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """What a command line is refused for."""
    with pytest.raises(ConfigurationError) as caught:
        load_words(words, environment)
    return caught.value.problems


def toml_problems(folder: Path, text: str | bytes) -> tuple[str, ...]:
    """What a file is refused for, without the file's path in front."""
    with pytest.raises(ConfigurationError) as caught:
        load_toml(folder, text)
    return tuple(problem.removeprefix(f"{folder / 'node.toml'}: ") for problem in caught.value.problems)
