"""Frozen dataclasses to JSON values and back: typed, strict, and generic over their fields.

Understood field types: int, float, bool, str, enums of strings, `X | None`, tuple[X, ...],
tuple[X, Y], dataclasses.
A dataclass becomes an object with one member per field, in the order of the fields; a tuple becomes
a list. Reading accepts exactly what writing produces; a mismatch names the field.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Callable
from enum import Enum
from functools import cache
from typing import Any, TypeAlias, TypeVar

Json: TypeAlias = "None | bool | int | float | str | list[Json] | dict[str, Json]"
T = TypeVar("T")

INT_MAX = 2**64 - 1  # the widest counter or address that a kernel gives us
FLOAT_MAX = 1e30  # far beyond any quantity here; products of a few of them stay finite


class MismatchError(Exception):
    """A JSON value that does not fit its type; `str()` starts with the field, outermost first."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.path: list[str] = []

    def inside(self, step: str) -> MismatchError:
        """Return this error, seen from one level further out."""
        self.path.insert(0, step)
        return self

    def __str__(self) -> str:
        where = "".join(self.path).removeprefix(".")
        return f"{where or 'the document'}: {self.problem}"


def encode(value: object) -> Json:
    """Return the JSON value of a dataclass, a tuple or a plain value."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Enum):
        return encode(value.value)
    if isinstance(value, tuple):
        return [encode(item) for item in value]
    if dataclasses.is_dataclass(value):
        kind: Any = type(value)
        return {name: encode(getattr(value, name)) for name in _field_names(kind)}
    raise TypeError(f"{type(value).__name__} has no JSON form")


def decode(kind: type[T], value: Json) -> T:
    """Return `value` as a `kind`; raise MismatchError if it is not one."""
    wanted: Any = kind
    return typing.cast(T, _decoder(wanted)(value))


@cache
def _field_names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


@cache
def _decoder(kind: Any) -> Callable[[Json], Any]:
    """Return the function that reads one type; built once, as a recording has 100,000 samples."""
    if kind in _SCALARS:
        return _SCALARS[kind]
    if dataclasses.is_dataclass(kind):
        return _object_decoder(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _enum_decoder(kind)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union) and type(None) in arguments:
        (inner,) = (argument for argument in arguments if argument is not type(None))
        return _optional_decoder(_decoder(inner))
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return _sequence_decoder(_decoder(arguments[0]))
    if origin is tuple:
        return _record_decoder(tuple(_decoder(argument) for argument in arguments))
    raise TypeError(f"{kind} has no JSON form")


def _object_decoder(kind: Any) -> Callable[[Json], Any]:
    hints = typing.get_type_hints(kind)
    fields = tuple((name, _decoder(hints[name])) for name in _field_names(kind))
    names = frozenset(name for name, _ in fields)

    def read(value: Json) -> Any:
        if not isinstance(value, dict):
            raise MismatchError(f"is {_shown(value)}, not an object")
        if value.keys() != names:
            missing = sorted(names - value.keys())
            word, name = ("misses", missing[0]) if missing else ("has an unknown", _extra(value))
            raise MismatchError(f"{word} field {name!r}")
        read_fields = []
        for name, read_field in fields:
            try:
                read_fields.append(read_field(value[name]))
            except MismatchError as error:
                raise error.inside(f".{name}") from None
        return kind(*read_fields)

    def _extra(value: dict[str, Json]) -> str:
        return min(value.keys() - names)[:40]

    return read


def _enum_decoder(kind: type[Enum]) -> Callable[[Json], Any]:
    members = {member.value: member for member in kind}

    def read(value: Json) -> Any:
        if not isinstance(value, str) or value not in members:
            raise MismatchError(f"is {_shown(value)}, none of {', '.join(members)}")
        return members[value]

    return read


def _optional_decoder(read_some: Callable[[Json], Any]) -> Callable[[Json], Any]:
    return lambda value: None if value is None else read_some(value)


def _sequence_decoder(read_item: Callable[[Json], Any]) -> Callable[[Json], Any]:
    def read(value: Json) -> Any:
        items = []
        for index, item in enumerate(_list(value)):
            try:
                items.append(read_item(item))
            except MismatchError as error:
                raise error.inside(f"[{index}]") from None
        return tuple(items)

    return read


def _record_decoder(readers: tuple[Callable[[Json], Any], ...]) -> Callable[[Json], Any]:
    def read(value: Json) -> Any:
        items = _list(value)
        if len(items) != len(readers):
            raise MismatchError(f"has {len(items)} items, not {len(readers)}")
        fields = []
        for index, (read_item, item) in enumerate(zip(readers, items, strict=True)):
            try:
                fields.append(read_item(item))
            except MismatchError as error:
                raise error.inside(f"[{index}]") from None
        return tuple(fields)

    return read


def _list(value: Json) -> list[Json]:
    if not isinstance(value, list):
        raise MismatchError(f"is {_shown(value)}, not a list")
    return value


def _integer(value: Json) -> int:
    if type(value) is not int:
        raise MismatchError(f"is {_shown(value)}, not a whole number")
    if abs(value) > INT_MAX:
        raise MismatchError("is a number beyond 64 bits")
    return value


def _number(value: Json) -> float:
    if type(value) is int:
        return float(_integer(value))
    if type(value) is not float or not math.isfinite(value):
        raise MismatchError(f"is {_shown(value)}, not a number")
    if abs(value) > FLOAT_MAX:
        raise MismatchError(f"is {_shown(value)}, beyond {FLOAT_MAX:g}")
    return value


def _truth(value: Json) -> bool:
    if type(value) is not bool:
        raise MismatchError(f"is {_shown(value)}, not true or false")
    return value


def _string(value: Json) -> str:
    if type(value) is not str:
        raise MismatchError(f"is {_shown(value)}, not a string")
    return value


def _shown(value: Json) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "null"
    return ascii(value)[:40]


_SCALARS: dict[Any, Callable[[Json], Any]] = {
    int: _integer,
    float: _number,
    bool: _truth,
    str: _string,
}
