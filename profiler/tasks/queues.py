"""Looks at the queues of all task processors from outside, about once a second.

It costs the target nothing. Where there are more than can be read quickly, a random choice of them
is looked at.
"""

from __future__ import annotations

import random
import struct
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from profiler.asterisk.abi import MAGIC_OFFSET
from profiler.asterisk.containers import is_object
from profiler.asterisk.task_code import TaskCode
from profiler.asterisk.task_processors import task_processors
from profiler.model.tasks import QueueLook
from profiler.process.target import TargetProcess

_LONG = struct.Struct("<q")
_MOST_NAME_BYTES = 80  # AST_TASKPROCESSOR_MAX_NAME is 70 (include/asterisk/taskprocessor.h)
_MOST_LOOKED_AT = 4_000
_MOST_LENGTH = 10_000_000  # more is not a queue's length
_WALK_NS = 30_000_000
_FIND_SHARE = 200  # looking for them may use one part in so many of a CPU
_MOST_LOOKS = 3_600
_MOST_QUEUES = 10_000


@dataclass(frozen=True, slots=True)
class SeenQueue:
    """What the looks found of one task processor."""

    looks: int
    lengths: tuple[tuple[int, int], ...]  # (length, looks that found it), ascending


NO_QUEUE = SeenQueue(0, ())


class QueueLooks:
    """The looks of one run. `variable`: where the container's address is; None: not known."""

    def __init__(self, target: TargetProcess, code: TaskCode, variable: int | None) -> None:
        self._target = target
        self._code = code
        self._variable = variable if code.size_offset is not None else None
        self._found: tuple[int, ...] = ()
        self._count = 0
        self._find_due_ns = 0
        self._looks: list[QueueLook] = []
        self._lengths: dict[str, Counter[int]] = {}

    def _name(self, processor: int) -> str:
        """Return what the task processor at an address is called; "" where that is unreadable."""
        if self._code.name_offset is None:
            return ""
        at = processor + self._code.name_offset
        if self._code.name_is_pointer:
            pointer = self._target.memory.read(at, 8)
            at = int.from_bytes(pointer, "little") if pointer else 0
        return self._target.memory.text(at, _MOST_NAME_BYTES) or ""

    def look(self, now_ns: int) -> None:
        """Read how many tasks wait in each queue."""
        if self._variable is None or self._code.size_offset is None:
            return
        if now_ns >= self._find_due_ns:
            self._find(now_ns)
        chosen: Sequence[int] = self._found
        if len(chosen) > _MOST_LOOKED_AT:
            chosen = random.sample(chosen, _MOST_LOOKED_AT)
        at = [processor + MAGIC_OFFSET for processor in chosen]
        size_at = self._code.size_offset - MAGIC_OFFSET
        objects = self._target.memory.read_many(at, size_at + _LONG.size)
        lengths = [
            (processor, _LONG.unpack_from(data, size_at)[0])
            for processor, data in zip(chosen, objects, strict=True)
            if data is not None and is_object(data)  # it may have gone since it was found
        ]
        waiting = [(processor, n) for processor, n in lengths if 0 < n < _MOST_LENGTH]
        for processor, length in waiting:
            self._note(processor, length)
        counts = [length for _, length in waiting]
        self._add(QueueLook(now_ns, self._count, len(lengths), sum(counts), max(counts, default=0)))

    def _find(self, now_ns: int) -> None:
        assert self._variable is not None
        begun_ns = time.thread_time_ns()  # waiting for a CPU costs nobody anything
        self._count, self._found = task_processors(
            self._target.memory, self._variable, self._target.is_code, _WALK_NS
        )
        self._find_due_ns = now_ns + _FIND_SHARE * (time.thread_time_ns() - begun_ns)

    def _note(self, processor: int, length: int) -> None:
        name = self._name(processor)
        if name in self._lengths or len(self._lengths) < _MOST_QUEUES:
            self._lengths.setdefault(name, Counter())[length] += 1

    def _add(self, look: QueueLook) -> None:
        self._looks.append(look)
        if len(self._looks) > _MOST_LOOKS:  # of two neighbours, the one with more that waits stays
            pairs = zip(self._looks[::2], self._looks[1::2], strict=False)
            kept = [max(pair, key=lambda one: one.queued) for pair in pairs]
            self._looks = kept + self._looks[2 * len(kept) :]

    def looks(self) -> tuple[QueueLook, ...]:
        """Return all looks; in a long run, the worse one of neighbours."""
        return tuple(self._looks)

    def queues(self) -> dict[str, SeenQueue]:
        """Return those in which tasks were found waiting, by name."""
        return {
            name: SeenQueue(lengths.total(), tuple(sorted(lengths.items())))
            for name, lengths in self._lengths.items()
        }
