"""Names that try to break out of every format."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace

HOSTILE_NAME = "<script>alert('x')</script>;\"&amp;\n\r\t\x00\x1b[31m\u202e\udc80]]>"
LONG_NAME = "very_long_name_" * 700  # 10,500 characters


def poison(value: object) -> object:
    """Return the same value with every string in it hostile."""
    if isinstance(value, str):
        return HOSTILE_NAME
    if isinstance(value, tuple):
        return tuple(map(poison, value))
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: poison(getattr(value, f.name)) for f in fields(value)})
    return value
