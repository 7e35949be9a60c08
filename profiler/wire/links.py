"""What crosses the boundary for links into containers. Mirrors bpf/links_wire.h."""

from __future__ import annotations

import struct
from typing import NamedTuple

CONTROL = struct.Struct("<QQQ")
STATE = struct.Struct("<6Q")
LINK_STACK = struct.Struct("<QQQ")
_CHECK_BITS = 64


class LinkState(NamedTuple):
    """struct link_state."""

    spent_ns: int = 0
    events: int = 0
    others: int = 0
    refused: int = 0
    lost: int = 0
    used_up_ns: int = 0

    @classmethod
    def decode(cls, data: bytes) -> LinkState:
        """Return the state in bytes of the map."""
        return cls._make(STATE.unpack(data))


class LinkStack(NamedTuple):
    """struct link_stack."""

    container: int
    stack: int
    check: int

    @property
    def name(self) -> int:
        """Return what names the stack among all."""
        return self.check << _CHECK_BITS | self.stack

    @classmethod
    def decode(cls, data: bytes) -> LinkStack:
        """Return the stack in bytes of the map's key."""
        return cls._make(LINK_STACK.unpack(data))
