"""Frozen dataclasses to JSON values and back: typed, strict, and generic over their fields.

A dataclass becomes an object with one member per field, in the order of the fields; a tuple becomes
a list, an enum its value. Read are int, float, bool, str, enums of strings, `X | None`,
tuple[X, ...], tuple[X, Y] and dataclasses, exactly as they are written; a mismatch names the field.
A field with a default may be missing: it is younger than the file.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Callable, Set
from enum import Enum
from functools import cache
from typing import Any, TypeAlias, TypeVar

Json: TypeAlias = "None | bool | int | float | str | list[Json] | dict[str, Json]"
T = TypeVar("T")

INT_MAX = 2**64 - 1  # the widest counter or address that a kernel gives us
FLOAT_MAX = 1e30  # far beyond any quantity here; products of a few of them stay finite


class MismatchError(Exception):
    """A JSON value that does not fit its type; `str()` starts with the field, outermost first."""

    def __init__(self, problem: str, path: str = "") -> None:
        super().__init__(f"{path.removeprefix('.') or 'the document'}: {problem}")
        self._problem = problem
        self._path = path

    def inside(self, step: str) -> MismatchError:
        """Return this error, seen from one level further out."""
        return MismatchError(self._problem, step + self._path)


def encode(value: object) -> Json:
    """Return the JSON value of a dataclass, a tuple or a plain value."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, tuple):
        return [encode(item) for item in value]
    shown = members(value)
    if isinstance(shown, dict):
        return {name: encode(item) for name, item in shown.items()}
    return encode(shown)


def members(value: object) -> object:
    """Return what stands for a dataclass or an enum, one level deep, as json.dumps asks for it."""
    if isinstance(value, Enum):
        return value.value
    kind: Any = type(value)
    return {name: getattr(value, name) for name in _field_names(kind)}


def decode(kind: type[T], value: Json) -> T:
    """Return `value` as a `kind`; raise MismatchError if it is not one."""
    wanted: Any = kind
    return typing.cast(T, _decoder(wanted)(value))


@cache
def _field_names(kind: Any) -> tuple[str, ...]:
    if not dataclasses.is_dataclass(kind):
        raise TypeError(f"{kind.__name__} has no JSON form")
    return tuple(field.name for field in dataclasses.fields(kind))


@cache
def _decoder(kind: Any) -> Callable[[Json], Any]:
    """Return the function that reads one type; built once, as a recording has 100,000 samples."""
    if kind in _PLAIN:
        return _PLAIN[kind]
    if dataclasses.is_dataclass(kind):
        return _object_decoder(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _enum_decoder(kind)
    arguments = typing.get_args(kind)
    readers = [_decoder(item) for item in arguments if item not in (type(None), Ellipsis)]
    if type(None) in arguments:
        (read_some,) = readers
        return lambda value: None if value is None else read_some(value)
    if typing.get_origin(kind) is tuple:
        return _list_decoder(readers, is_open=arguments[-1] is Ellipsis)
    raise TypeError(f"{kind} has no JSON form")


def _enum_decoder(kind: type[Enum]) -> Callable[[Json], Any]:
    known = {member.value: member for member in kind}

    def read(value: Json) -> Any:
        if not isinstance(value, str) or value not in known:
            raise MismatchError(f"is {_shown(value)}, not one of {', '.join(known)}")
        return known[value]

    return read


def _object_decoder(kind: Any) -> Callable[[Json], Any]:
    hints = typing.get_type_hints(kind)
    fields = tuple((name, _decoder(hints[name])) for name in _field_names(kind))
    names = frozenset(hints)
    defaults = {
        field.name: field.default
        for field in dataclasses.fields(kind)
        if field.default is not dataclasses.MISSING
    }

    def read(value: Json) -> Any:
        if not isinstance(value, dict):
            raise MismatchError(f"is {_shown(value)}, not an object")
        if value.keys() != names and not names - defaults.keys() <= value.keys() <= names:
            raise MismatchError(_wrong_names(value.keys(), names - defaults.keys(), names))
        done: list[Any] = []
        try:
            for name, read_field in fields:
                done.append(read_field(value[name]) if name in value else defaults[name])
        except MismatchError as error:
            raise error.inside(f".{fields[len(done)][0]}") from None
        return kind(*done)

    return read


def _wrong_names(found: Set[str], needed: Set[str], known: Set[str]) -> str:
    if missing := needed - found:
        return f"misses field {min(missing)!r}"
    return f"has an unknown field {min(found - known)[:40]!r}"


def _list_decoder(readers: list[Callable[[Json], Any]], is_open: bool) -> Callable[[Json], Any]:
    """Return the reader of a list with these items, or, if it is open, of any number of one."""

    def read(value: Json) -> Any:
        if not isinstance(value, list):
            raise MismatchError(f"is {_shown(value)}, not a list")
        if not is_open and len(value) != len(readers):
            raise MismatchError(f"has {len(value)} items, not {len(readers)}")
        wanted = readers * len(value) if is_open else readers
        done: list[Any] = []
        try:
            for read_item, item in zip(wanted, value, strict=True):
                done.append(read_item(item))
        except MismatchError as error:
            raise error.inside(f"[{len(done)}]") from None
        return tuple(done)

    return read


def _plain_decoder(kind: type, words: str) -> Callable[[Json], Any]:
    def read(value: Json) -> Any:
        if type(value) is not kind:
            raise MismatchError(f"is {_shown(value)}, not {words}")
        return value

    return read


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


def _shown(value: Json) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return "null" if value is None else ascii(value)[:40]


_each_integer = _list_decoder([_integer], is_open=True)


def _integers(value: Json) -> tuple[int, ...]:
    """Read a list of whole numbers; there are thousands of them, and nearly all are right."""
    if isinstance(value, list) and _INTEGER.issuperset(map(type, value)):
        numbers = typing.cast("list[int]", value)
        if max(map(abs, numbers), default=0) <= INT_MAX:
            return tuple(numbers)
    return typing.cast("tuple[int, ...]", _each_integer(value))


_INTEGER = frozenset((int,))
_PLAIN: dict[Any, Callable[[Json], Any]] = {
    int: _integer,
    float: _number,
    bool: _plain_decoder(bool, "true or false"),
    str: _plain_decoder(str, "a string"),
    tuple[int, ...]: _integers,
}
