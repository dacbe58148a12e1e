"""
The schema as a list: every setting with its names, its type, its default and its text.

Made once from the dataclasses of `config.schema`; flags, environment, TOML, help and reference all read it.
"""

import ast
import inspect
import types
from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from config.checks import Check
from config.schema import NodeConfig

ENVIRONMENT_PREFIX = "PARALLELPOOL_"


@dataclass(frozen=True, slots=True)
class Option:
    """One setting."""

    attributes: tuple[str, ...]
    """Where it stands: `("txpool", "globalslots")`."""
    type: Any  # a type expression such as `tuple[str, ...]`, as typing gives it
    """Without `Annotated` and without `| None`."""
    is_optional: bool
    checks: tuple[Check, ...]
    default: object
    text: str
    """What it means, one paragraph."""

    @property
    def keys(self) -> tuple[str, ...]:
        """As in TOML: `("rpc", "batch-request-limit")`."""
        return tuple(attribute.replace("_", "-") for attribute in self.attributes)

    @property
    def name(self) -> str:
        """As a flag without the dashes in front: `rpc.batch-request-limit`, `http` for `http.enabled`."""
        keys = self.keys[:-1] if self.attributes[-1] == "enabled" else self.keys
        return ".".join(keys)

    @property
    def flag(self) -> str:
        return f"--{self.name}"

    @property
    def variable(self) -> str:
        """Of the environment, by geth's rule: upper case, `.` and `-` as `_`."""
        return ENVIRONMENT_PREFIX + self.name.upper().replace(".", "_").replace("-", "_")

    @property
    def is_switch(self) -> bool:
        """Whether the flag alone means true."""
        return self.type is bool


@dataclass(frozen=True, slots=True)
class Section:
    """Settings that stand together."""

    keys: tuple[str, ...]
    """As in TOML; empty for the top level."""
    title: str
    options: tuple[Option, ...]


@cache
def sections(schema: type = NodeConfig) -> tuple[Section, ...]:
    """All sections in the order of the schema, the top level first."""
    return tuple(_sections(schema, ()))


@cache
def options(schema: type = NodeConfig) -> tuple[Option, ...]:
    """All settings in the order of the sections."""
    return tuple(option for section in sections(schema) for option in section.options)


def _sections(schema: type, above: tuple[str, ...]) -> Iterator[Section]:
    hints = get_type_hints(schema, include_extras=True)
    texts = field_texts(schema)
    own: list[Option] = []
    below: list[Section] = []
    for field in fields(schema):
        place = (*above, field.name)
        if is_dataclass(hints[field.name]):
            below.extend(_sections(hints[field.name], place))
        else:
            own.append(_option(place, hints[field.name], field, texts[field.name]))
    keys = tuple(attribute.replace("_", "-") for attribute in above)
    yield Section(keys, inspect.cleandoc(schema.__doc__ or ""), tuple(own))
    yield from below


def _option(place: tuple[str, ...], hint: Any, field: Field[Any], text: str) -> Option:
    checks: list[Check] = []
    is_optional = False
    while True:
        if get_origin(hint) is Annotated:
            hint, *extras = get_args(hint)
            checks += [extra for extra in extras if isinstance(extra, Check)]
        elif get_origin(hint) in (Union, types.UnionType):
            (hint,) = (arm for arm in get_args(hint) if arm is not types.NoneType)
            is_optional = True
        else:
            break
    assert field.default is not MISSING, f"{'.'.join(place)} has no default"
    return Option(place, hint, is_optional, tuple(checks), field.default, text)


def field_texts(schema: type) -> dict[str, str]:
    """The text below each field of a dataclass, as one paragraph."""
    (declaration,) = ast.parse(inspect.getsource(schema)).body
    assert isinstance(declaration, ast.ClassDef)
    texts: dict[str, str] = {}
    for statement, following in zip(declaration.body, [*declaration.body[1:], ast.Pass()], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            texts[statement.target.id] = _literal(following)
    return texts


def _literal(statement: ast.stmt) -> str:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return " ".join(str(statement.value.value).split())
    return ""
