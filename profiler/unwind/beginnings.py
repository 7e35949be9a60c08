"""Where threads began, by their stacks: read from outside, and without a sample."""

from __future__ import annotations

import struct
from bisect import bisect_right

from profiler.process.present_threads import PresentThread
from profiler.process.target import TargetProcess
from profiler.unwind.kernel_tables import TableLibrary
from profiler.wire.unwind import (
    KIND_END,
    KIND_NONE,
    KIND_RBP,
    KIND_RSP,
    KIND_SHIFT,
    MAX_FRAMES,
    OFFSET_MASK,
    SLOT_LOST,
    SLOT_SHIFT,
    word,
)

_SELF = 16  # struct pthread begins with tcbhead_t: glibc, sysdeps/x86_64/nptl/tls.h
_ADDRESS = struct.Struct("<Q")
_NO_RULE = word(KIND_NONE)
_LOW = 0xFFFFFFFF


class Beginnings:
    """Reads where threads of one target began; remembers the rules that it met.

    `routine_at` is where glibc keeps a thread's start routine, None if that is not known.
    """

    def __init__(
        self, target: TargetProcess, library: TableLibrary, routine_at: int | None
    ) -> None:
        self._target = target
        self._library = library
        self._routine_at = routine_at
        self._rules: dict[int, int] = {}

    def of(self, thread: PresentThread, most: int) -> tuple[int, ...]:
        """Return the outermost frames of a thread, outermost first; () if they are not known.

        They are where execution was, or addresses inside the calls. A thread that has run again
        meanwhile has another stack, but it began in the same frames. Of one that runs, and where
        the stack is not whole, the start routine is what there is.
        """
        frames = [] if thread.is_on_cpu else self._frames(thread)
        return tuple(reversed(frames[-most:])) or self._routine(thread.fs_base)

    def _routine(self, descriptor: int) -> tuple[int, ...]:
        # What it was handed is not looked at: it may have been freed since, and used again.
        is_own = self._word(descriptor + _SELF) == descriptor
        if self._routine_at is None or not is_own:
            return ()
        routine = self._word(descriptor + self._routine_at)
        return () if routine is None else (routine,)

    def _frames(self, thread: PresentThread) -> list[int]:
        frames: list[int] = []
        ip, sp = thread.ip, thread.sp
        rbp: int | None = thread.bp
        while len(frames) < MAX_FRAMES:
            frames.append(ip - 1 if frames else ip)
            kind, slot, offset = _parts(self._rule(frames[-1]))
            if kind == KIND_END:
                return frames
            base = {KIND_RSP: sp, KIND_RBP: rbp}.get(kind)
            cfa = sp if base is None else base + 8 * offset
            caller = self._word(cfa - 8) if cfa > sp else None
            if caller is None:
                break
            if slot:
                rbp = None if slot == SLOT_LOST else self._word(cfa + 8 * slot)
            ip, sp = caller, cfa
        return []

    def _word(self, address: int) -> int | None:
        data = self._target.memory.read(address, _ADDRESS.size)
        return None if data is None else int(_ADDRESS.unpack(data)[0])

    def _rule(self, address: int) -> int:
        """Return the rule word for an address."""
        rule = self._rules.get(address)
        if rule is None:
            rule = self._rules[address] = self._find_rule(address)
        return rule

    def _find_rule(self, address: int) -> int:
        loaded = self._target.code.at(address)
        if loaded is None or loaded.file is None or loaded.bias is None:
            return _NO_RULE
        table = self._library.table(loaded.file)
        offset = address - loaded.bias - table.base
        index = bisect_right(table.rows, offset << 32 | _LOW) - 1 if offset >= 0 else -1
        return table.rows[index] & _LOW if index >= 0 else _NO_RULE


def _parts(rule: int) -> tuple[int, int, int]:
    """Return kind, slot of rbp and offset of a rule word, see bpf/unwind_wire.h."""
    slot = rule >> SLOT_SHIFT & 0xFF
    return rule >> KIND_SHIFT, slot - 256 if slot > 127 else slot, rule & OFFSET_MASK
