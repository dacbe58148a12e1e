"""
Defaults < TOML file < environment < flags: in come texts, out comes one frozen `NodeConfig`.

Every source is read whole and every problem is reported at once, as one `ConfigurationError`; a bad value is an
error even where a stronger source overrides it. Nothing is repaired. The environment is read here and nowhere else.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, get_type_hints

from config.agreement import contradictions, derive
from config.flags import CONFIG, unknown_name
from config.options import ENVIRONMENT_PREFIX, Option, options
from config.schema import NodeConfig
from config.values import from_text, from_toml
from parallelpool.errors import ConfigurationError

Schema = TypeVar("Schema")

OTHERS_VARIABLES: Final = frozenset({"PARALLELPOOL_FIXTURES"})
"""Variables with our prefix that are not the daemon's: where the tests find public data."""

GETH_SECTIONS: Final = frozenset({"Eth", "Node", "Metrics"})


class Gathering:
    """Values and problems as they come in; a later value replaces an earlier one of the same setting."""

    def __init__(self) -> None:
        self.values: dict[str, object] = {}
        """By the setting's name, only what was given."""
        self.problems: list[str] = []
        self.broken: set[str] = set()
        """Names of settings that were given a bad value somewhere."""

    def text(self, option: Option, source: str, text: str) -> None:
        """Takes a value from the command line or the environment."""
        try:
            self.values[option.name] = from_text(option, text)
        except ValueError as error:
            self.reject(option, source, error)

    def toml(self, option: Option, source: str, value: object) -> None:
        """Takes a value from the file."""
        try:
            self.values[option.name] = from_toml(option, value)
        except ValueError as error:
            self.reject(option, source, error)

    def reject(self, option: Option, source: str, error: ValueError) -> None:
        self.problems.append(f"{source}: {error}")
        self.broken.add(option.name)


def load(
    settings: Sequence[tuple[Option, str]],
    environment: Mapping[str, str],
    problems: Sequence[str] = (),
) -> NodeConfig:
    """
    The configuration from flags as given and from the environment, which may name the file.

    Raises ConfigurationError with `problems`, found before, and all that are found here.
    """
    gathering = Gathering()
    gathering.problems.extend(problems)
    path = _config_path(settings, environment, gathering)
    if path is not None:
        _read_file(path, gathering)
    _read_environment(environment, gathering)
    for option, text in settings:
        if option is not CONFIG:
            gathering.text(option, option.flag, text)
    given = frozenset(gathering.values)
    values = {option.name: option.default for option in options()} | gathering.values
    values = derive(values, given)
    gathering.problems.extend(contradictions(values, given, gathering.broken))
    if gathering.problems:
        raise ConfigurationError(gathering.problems)
    return build(NodeConfig, values)


def _config_path(
    settings: Sequence[tuple[Option, str]], environment: Mapping[str, str], gathering: Gathering
) -> Path | None:
    texts = [(CONFIG.flag, text) for option, text in settings if option is CONFIG]
    if not texts and CONFIG.variable in environment:
        texts = [(CONFIG.variable, environment[CONFIG.variable])]
    if not texts:
        return None
    source, text = texts[-1]
    gathering.text(CONFIG, source, text)
    path = gathering.values.pop(CONFIG.name, None)
    assert path is None or isinstance(path, Path)
    return path


def _read_environment(environment: Mapping[str, str], gathering: Gathering) -> None:
    known = {option.variable: option for option in options()}
    for variable in sorted(environment):
        if variable in OTHERS_VARIABLES or variable == CONFIG.variable:
            continue
        if variable in known:
            gathering.text(known[variable], variable, environment[variable])
        elif variable.startswith(ENVIRONMENT_PREFIX):
            name = variable.removeprefix(ENVIRONMENT_PREFIX).lower().replace("_", ".")
            names = {option.name: option.variable for option in options()}
            gathering.problems.append(unknown_name(variable, name, names))


def _read_file(path: Path, gathering: Gathering) -> None:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        gathering.problems.append(f"--config: cannot read {path}: {error.strerror}")
        return
    except UnicodeDecodeError as error:
        gathering.problems.append(f"{path}: is not UTF-8 text, byte {error.start}")
        return
    except tomllib.TOMLDecodeError as error:
        gathering.problems.append(f"{path}: is not TOML: {error}")
        return
    foreign = sorted(GETH_SECTIONS & document.keys())
    if foreign:
        gathering.problems.append(
            f"{path}: [{foreign[0]}]: geth's own TOML is not read, keys here are the flag names: [txpool] globalslots"
        )
        document = {key: value for key, value in document.items() if key not in GETH_SECTIONS}
    _read_table(document, (), path, gathering)


def _read_table(table: Mapping[str, Any], above: tuple[str, ...], path: Path, gathering: Gathering) -> None:
    known = {option.keys: option for option in options()}
    tables = {keys[:length] for keys in known for length in range(1, len(keys))}
    for key, value in table.items():
        keys = (*above, key)
        shown = f"{path}: {_spelt(keys)}"
        if keys in known:
            gathering.toml(known[keys], shown, value)
        elif keys not in tables:
            names = {".".join(option.keys): _spelt(option.keys) for option in options()}
            gathering.problems.append(unknown_name(shown, ".".join(keys), names))
        elif isinstance(value, dict):
            _read_table(value, keys, path, gathering)
        else:
            gathering.problems.append(f"{path}: {'.'.join(keys)}: must be a table, as [{'.'.join(keys)}]")


def _spelt(keys: Sequence[str]) -> str:
    *above, key = keys
    return f"[{'.'.join(above)}] {key}" if above else key


def build(schema: type[Schema], values: Mapping[str, object], above: tuple[str, ...] = ()) -> Schema:
    """The dataclass `schema` with its values, found by the settings' names."""
    return schema(**dict(_arguments(schema, values, above)))


def _arguments(
    schema: type, values: Mapping[str, object], above: tuple[str, ...]
) -> Iterator[tuple[str, object]]:
    hints = get_type_hints(schema)
    names = {option.attributes: option.name for option in options()}
    for field in fields(schema):
        place = (*above, field.name)
        if is_dataclass(hints[field.name]):
            yield field.name, build(hints[field.name], values, place)
        else:
            yield field.name, values[names[place]]
