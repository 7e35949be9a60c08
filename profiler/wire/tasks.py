"""What crosses the boundary for task processors. Mirrors bpf/tasks_wire.h."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

NAME_BYTES = 72  # TASK_NAME_BYTES
EVENT = struct.Struct(f"<QQQQQqQII{NAME_BYTES}s")
CONTROL = struct.Struct("<QQQ")
STATE = struct.Struct("<8Q")


class TaskEventKind(IntEnum):
    """enum task_event_kind."""

    PUSH = 0
    BEGIN = 1
    END = 2


class TaskEvent(NamedTuple):
    """struct task_event."""

    time_ns: int
    processor: int
    function: int
    data: int
    site: int
    length: int
    task: int
    tid: int
    kind: int
    name: bytes = b""  # with what follows its end

    @classmethod
    def decode(cls, data: bytes) -> TaskEvent:
        """Return the event in bytes of the ring buffer."""
        return cls._make(EVENT.unpack(data))


class TaskState(NamedTuple):
    """struct task_state."""

    spent_ns: int = 0
    pushes: int = 0
    begins: int = 0
    ends: int = 0
    refused: int = 0
    lost: int = 0
    used_up_ns: int = 0
    stopped_ns: int = 0

    @property
    def events(self) -> int:
        """Return how often probes were hit."""
        return self.pushes + self.begins + self.ends

    @classmethod
    def decode(cls, data: bytes) -> TaskState:
        """Return the state in bytes of the map."""
        return cls._make(STATE.unpack(data))
