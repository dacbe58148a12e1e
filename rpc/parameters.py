"""
Positional parameters by declaration: a tuple of `Parameter`, each a converter and whether it may be absent.

In: `params` of a request. Out: one converted value per parameter, `None` for an absent optional one. The texts
are those of geth's argument parser. There is no schema besides these declarations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from rpc.errors import InvalidParams, Json
from rpc.quantities import Unfit, WrongType, json_kind

T = TypeVar("T")
K = TypeVar("K")

Converter: TypeAlias = Callable[[Json], object]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One positional parameter."""

    convert: Converter
    optional: bool = False
    """May be absent or `null`; the method then gets `None`."""


Signature: TypeAlias = tuple[Parameter, ...]


def required(*converters: Converter) -> Signature:
    """Parameters that must be there."""
    return tuple(Parameter(convert) for convert in converters)


def optional(*converters: Converter) -> Signature:
    """Parameters that may be absent."""
    return tuple(Parameter(convert, optional=True) for convert in converters)


def parse_parameters(params: Json, signature: Signature) -> list[object]:
    """
    One value per parameter of `signature`.

    Raises InvalidParams with geth's text: the first parameter that does not fit, too many, or one missing.
    """
    if params is None:
        params = []
    elif not isinstance(params, list):
        raise InvalidParams("non-array args")
    values: list[object] = []
    for position, given in enumerate(params):
        if position >= len(signature):
            raise InvalidParams(f"too many arguments, want at most {len(signature)}")
        parameter = signature[position]
        if given is None:
            if not parameter.optional:
                raise InvalidParams(f"missing value for required argument {position}")
            values.append(None)
            continue
        try:
            values.append(parameter.convert(given))
        except Unfit as problem:
            raise InvalidParams(f"invalid argument {position}: {problem}") from problem
    for position in range(len(values), len(signature)):
        if not signature[position].optional:
            raise InvalidParams(f"missing value for required argument {position}")
        values.append(None)
    return values


# ------------------------------------------------------------------ objects


class Fields:
    """
    A JSON object, read field by field.

    `struct` is the Go type with its package, `ethapi.TransactionArgs`; problems name it as geth does. As in Go, letter
    case does not matter where no field has the exact name, and fields nobody takes are ignored. Requests of our own,
    whose names have no package, are read to the letter; they call `refuse_others` at the end.
    """

    __slots__ = ("_folded", "_given", "_struct", "_taken")

    def __init__(self, value: Json, struct: str) -> None:
        """Raises WrongType if `value` is neither an object nor `null`, which reads as an empty one."""
        if value is not None and not isinstance(value, dict):
            raise WrongType(json_kind(value), struct)
        self._given: dict[str, Json] = value or {}
        is_of_go = "." in struct
        self._folded = {name.lower(): item for name, item in self._given.items()} if is_of_go else {}
        self._struct = struct.rpartition(".")[2]
        self._taken: set[str] = set()

    def take(self, name: str, convert: Callable[[Json], T]) -> T | None:
        """The field converted; `None` if absent or `null`. Raises Unfit."""
        self._taken.add(name)
        given = self._given[name] if name in self._given else self._folded.get(name.lower())
        if given is None:
            return None
        try:
            return convert(given)
        except WrongType as problem:
            raise problem.within(self._struct, name) from problem

    def need(self, name: str, convert: Callable[[Json], T]) -> T:
        """The field converted. Raises Unfit in geth's words if it is not there."""
        value = self.take(name, convert)
        if value is None:
            raise Unfit(f"missing required field '{name}' for {self._struct}")
        return value

    def __contains__(self, name: object) -> bool:
        """Whether the field is there, `null` included."""
        return name in self._given

    def refuse_others(self) -> None:
        """Raises Unfit for a field that was not taken: for our own requests, where a typo must not pass."""
        for name in self._given:
            if name not in self._taken:
                raise Unfit(f'unknown field "{name}"')


def list_of(convert: Callable[[Json], T], go_type: str) -> Callable[[Json], list[T]]:
    """A JSON array whose items all fit `convert`."""

    def convert_list(value: Json) -> list[T]:
        if value is None:
            return []
        if not isinstance(value, list):
            raise WrongType(json_kind(value), go_type)
        return [convert(item) for item in value]

    return convert_list


def map_of(
    convert_key: Callable[[str], K], convert: Callable[[Json], T], go_type: str
) -> Callable[[Json], list[tuple[K, T]]]:
    """A JSON object used as a map, in the order given."""

    def convert_map(value: Json) -> list[tuple[K, T]]:
        if value is None:
            return []
        if not isinstance(value, dict):
            raise WrongType(json_kind(value), go_type)
        return [(convert_key(key), convert(item)) for key, item in value.items()]

    return convert_map


def one_of(*words: str) -> Callable[[Json], str]:
    """One of some words."""

    def convert_word(value: Json) -> str:
        if not isinstance(value, str) or value not in words:
            raise Unfit(f"want one of {', '.join(words)}")
        return value

    return convert_word
