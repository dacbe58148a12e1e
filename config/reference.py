"""
The schema as texts for people: `--help`, the reference page, TOML.

`python -m config.reference` writes `docs/config.md` and `config/devnet.toml`; tests keep both equal to the schema.
"""

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

from config.flags import CONFIG
from config.options import Option, Section, sections
from config.refused import FAMILIES, REASONS
from config.schema import NodeConfig
from config.values import list_item, to_text, to_toml

REPOSITORY: Final = Path(__file__).resolve().parent.parent
REFERENCE_PAGE: Final = REPOSITORY / "docs" / "config.md"
DEVNET: Final = REPOSITORY / "config" / "devnet.toml"

TYPE_NAMES: Final = {
    "bool": "",
    "int": "number",
    "float": "number",
    "str": "text",
    "Path": "path",
    "timedelta": "duration",
    "parallelpool.primitives.Address": "address",
}

# ---------------------------------------------------------------- names of types, ranges, defaults


def type_name(option: Option) -> str:
    """What a value is, in a word; empty for a switch."""
    item = list_item(option)
    if get_origin(option.type) is Literal:
        return "|".join(get_args(option.type))
    name = TYPE_NAMES[_plain(option.type if item is None else item)]
    return name if item is None else f"{name},..."


def _plain(kind: Any) -> str:  # a type expression, as in Option.type
    return kind.__name__ if isinstance(kind, type) else str(kind)


def allowed(option: Option) -> str:
    """What values may be, beyond their type."""
    return "; ".join(check.allows for check in option.checks if check.allows)


def default_text(option: Option) -> str:
    """The default as on the command line; empty where there is none or it is empty."""
    return "" if option.default is None else to_text(option.default)


# ---------------------------------------------------------------- help


def help_text(settings: Iterable[Section], width: int) -> Iterator[str]:
    """Lines of `--help`: the flags by section, each with its text and default, `width` columns wide."""
    for section in settings:
        yield ""
        yield section.title.partition(".")[0].upper()
        for option in section.options:
            yield from _flag_help(option, width)


def _flag_help(option: Option, width: int) -> Iterator[str]:
    value = type_name(option)
    head = f"  {option.flag} {value}".rstrip()
    default = default_text(option)
    text = option.text + (f" (default: {default})" if default else "")
    lines = textwrap.wrap(text, max(width - 34, 30), break_long_words=False, break_on_hyphens=False)
    if len(head) > 32:
        yield head
        head = ""
    for line in lines:
        yield f"{head:<34}{line}"
        head = ""


# ---------------------------------------------------------------- TOML


def config_toml(settings: NodeConfig) -> str:
    """All settings as a TOML file; those that are `None` have no line."""
    values = dict(_values(settings, ()))
    lines: list[str] = []
    for section in sections():
        if section.keys:
            lines += ["", f"[{'.'.join(section.keys)}]"]
        lines += [
            f"{option.keys[-1]} = {to_toml(values[option.attributes])}"
            for option in section.options
            if values[option.attributes] is not None
        ]
    return "\n".join(lines).lstrip("\n") + "\n"


def _values(settings: Any, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    for field in fields(settings):  # of any of the schema's dataclasses
        value = getattr(settings, field.name)
        if is_dataclass(value):
            yield from _values(value, (*above, field.name))
        else:
            yield (*above, field.name), value


def devnet_toml() -> str:
    """Every setting with its text and its default, commented out: a file to begin from."""
    lines = [
        "# All settings with their defaults; take the `#` from what you change.",
        "# Made by `make docs` from config/schema.py. Use: parallelpool --config FILE",
    ]
    for section in sections():
        lines += ["", f"# {section.title.splitlines()[0]}"]
        lines += [f"[{'.'.join(section.keys)}]"] if section.keys else []
        for option in section.options:
            lines += [f"# {line}" for line in textwrap.wrap(option.text, 106)]
            value = "" if option.default is None else to_toml(option.default)
            lines.append(f"#{option.keys[-1]} = {value}".rstrip())
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------- reference page

PAGE_HEAD: Final = """\
# Configuration

Made by `make docs` from `config/schema.py`; do not edit.

Every setting is a flag (`--txpool.globalslots 5120`), a key of the TOML file named by `--config`
(`globalslots = 5120` in `[txpool]`), and a variable of the environment (`PARALLELPOOL_TXPOOL_GLOBALSLOTS=5120`: upper
case, `.` and `-` as `_`). A flag beats the environment, the environment beats the file, the file beats the default.
A section's own flag (`--http`) is `enabled` in TOML. A switch is on by itself and off by `--http=false`.
Durations are written as geth writes them (`3h0m0s`, `500ms`), lists with commas, in TOML as arrays.

Whatever is wrong is listed at once and ends the program with exit code 2: unknown names, values of a wrong type or
out of range, combinations that cannot be. Nothing is repaired silently. Relative paths count from the working
directory. `parallelpool dumpconfig` prints the settings in force as TOML.
"""

REFUSED_HEAD: Final = """\
## geth's flags that are refused

| flag | why |
|---|---|
"""


def reference_page() -> str:
    """`docs/config.md`."""
    parts = [PAGE_HEAD]
    for section in sections():
        title = f"`[{'.'.join(section.keys)}]`" if section.keys else "Top level"
        parts.append(
            f"\n## {title}\n\n{section.title}\n\n| flag | value | default | meaning |\n|---|---|---|---|\n"
        )
        parts.append("".join(_row(option) for option in (*section.options, *_file(section))))
    parts.append(f"\n{REFUSED_HEAD}")
    refused = {**REASONS, **{f"{beginning}*": reason for beginning, reason in FAMILIES.items()}}
    parts.append("".join(f"| `--{name}` | {refused[name]} |\n" for name in sorted(refused)))
    return "".join(parts)


def _file(section: Section) -> tuple[Option, ...]:
    return () if section.keys else (CONFIG,)


def _row(option: Option) -> str:
    value = type_name(option) or "switch"
    limits = allowed(option)
    cell = f"{value}: {limits}" if limits else value
    default = default_text(option)
    cells = (f"`{option.flag}`", cell, f"`{default}`" if default else "", option.text)
    return "| " + " | ".join(text.replace("|", "\\|") for text in cells) + " |\n"


def write() -> None:
    """Writes both generated files."""
    REFERENCE_PAGE.parent.mkdir(exist_ok=True)
    REFERENCE_PAGE.write_text(reference_page(), encoding="utf-8")
    DEVNET.write_text(devnet_toml(), encoding="utf-8")


if __name__ == "__main__":
    write()
