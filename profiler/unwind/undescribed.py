"""Rules for code that no call frame information describes, worked out from its instructions.

Such are musl's C library, and assembly that was written by hand. Where functions start is told by
symbols, calls, pointers and addresses that code takes. What is uncertain has no rule: a wrong
caller is worse than none.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator
from operator import attrgetter

from profiler.binary.call_frames import Entry
from profiler.binary.elf import MAX_READ_BYTES, SHF_EXECINSTR, SHT_NOBITS, Elf
from profiler.binary.relocations import read_imports
from profiler.binary.symtab import read_dynsym, read_symtab
from profiler.unwind.frame_values import ENTRY, state_of
from profiler.unwind.function_trace import FunctionTrace, Tracer, UndescribedCode
from profiler.unwind.machine import RSP, State
from profiler.unwind.ranges import merged
from profiler.unwind.rules import BEGINS, SIGNAL, Span

MAX_FUNCTIONS = 1 << 15
_ADDRESSES_END = 1 << 63  # of programs; also of what instructions there refer to

_FILLING_MAX_BYTES = 1 << 12
# What fills the space between functions: nop and int3 of all lengths, and zeros.
_FILLING = re.compile(
    rb"(?:[\x90\xcc\x00]|\x66*\x2e?\x0f\x1f(?:[\x00-\x03]|[\x40-\x43].|\x44..|[\x80-\x83].{4}"
    rb"|\x84.{5})|\x66\x90)*",
    re.DOTALL,
)
_CALL = re.compile(rb"[\xe8\xe9](?=.{4})", re.DOTALL)  # call or jmp rel32
# lea disp32(%rip), %r64
_LEA = re.compile(rb"[\x48\x4c]\x8d[\x05\x0d\x15\x1d\x25\x2d\x35\x3d](?=.{4})", re.DOTALL)
_DISTANCE = struct.Struct("<i")
# mov $15 (rt_sigreturn), %eax or %rax; syscall
_SIGNAL_RETURN = re.compile(rb"(?:\xb8\x0f\0\0\0|\x48\xc7\xc0\x0f\0\0\0)\x0f\x05")
_BEGINS: State = (RSP, 8, None, BEGINS, None)
_AS_CALLED = state_of(ENTRY)
_PART = ".cold"  # GCC and Clang call so what they moved out of a function
_DT_INIT, _DT_FINI = 12, 13


def inferred_rules(elf: Elf, entries: Iterable[Entry]) -> list[Span]:
    """Return rules for code outside these entries, by address; where they overlap the later holds.

    Only what is certain has one.
    """
    code = undescribed_code(elf, entries)
    if not code.parts:
        return []
    rules = _Rules(elf, code)
    rules.find()
    return sorted((*rules.spans(), *_signal_returns(code)), key=attrgetter("start"))


def undescribed_code(elf: Elf, entries: Iterable[Entry]) -> UndescribedCode:
    """Return the code of a file outside its entries, without what only fills the space there."""
    described = sorted((start, end) for start, end, *_ in entries)
    starts = [start for start, _ in described]
    parts = []
    for low, high in _code_areas(elf):
        code = elf.read_at(low, high - low) or b""
        at = low
        first = max(bisect_left(starts, low) - 1, 0)  # which may begin before
        inside = described[first : bisect_left(starts, high)]
        for start, end in (*inside, (high, high)):
            part = code[at - low : max(at, start) - low]
            if len(part) > _FILLING_MAX_BYTES or not _FILLING.fullmatch(part):
                parts.append((at, part))
            at = max(at, end)
    return UndescribedCode(parts, elf.read_at)


def _code_areas(elf: Elf) -> tuple[tuple[int, int], ...]:
    """Return where code lies; with sections, without the data that may be in its segment."""
    found = [
        (section.address, section.address + section.size)
        for section in elf.sections
        if section.flags & SHF_EXECINSTR and section.type != SHT_NOBITS
    ]
    areas = (area for area in found or elf.code_ranges if area[1] <= _ADDRESSES_END)
    return merged(areas, MAX_READ_BYTES)


class _Rules:
    """Finds functions and follows each of them."""

    def __init__(self, elf: Elf, code: UndescribedCode) -> None:
        self._code = code
        self._named = {address for address in _named(elf) if address in code}
        self._sure = set(self._named)  # need no evidence
        guessed = {address for address in _referred(elf, code) if address in code}
        self._tracer = Tracer(code, self._named | guessed)
        self._tracer.trusted |= self._named
        self._process_entry = elf.entry
        self._guessed = guessed - self._named
        self._without_evidence: dict[int, FunctionTrace] = {}
        self._states: dict[int, State | None] = {}  # None: they contradict each other

    def find(self) -> None:
        """Follow all that may be a function; again what failed, as by then more starts are known.

        Calls that do not come back are known by the start behind them.
        """
        failed = self._follow(deque((*sorted(self._sure), *sorted(self._guessed))))
        self._tracer.jumps_leave = True
        self._follow(deque(failed))
        for start, found in self._without_evidence.items():
            if start not in self._tracer.doubted:
                self._add(found)

    def _follow(self, pending: deque[int]) -> list[int]:
        seen, failed = set(pending), []
        while pending and len(seen) < MAX_FUNCTIONS:
            start = pending.popleft()
            if self._states.get(start) == _AS_CALLED:
                continue
            # The kernel begins a process there.
            entry = ENTRY._replace(asked_kernel=start == self._process_entry)
            found = self._tracer.trace(start, entry)
            if found is None or not (found.is_likely or start in self._sure):
                failed.append(start)
                continue
            self._tracer.trusted.add(start)
            if not found.may_return:
                self._tracer.never_return.add(start)
            if found.is_likely:
                self._add(found)
            else:
                self._without_evidence[start] = found
            referred = {a for a in found.calls | found.taken if a in self._code}
            # Labels whose address is taken lie in the function that takes it; others are functions.
            own = range(min(found.frames), max(found.frames) + 1)
            self._sure |= {a for a in referred if a in found.calls or a not in own}
            self._tracer.starts |= referred
            pending.extend(sorted(referred - seen - self._tracer.trusted))
            seen |= referred
        return failed

    def _add(self, found: FunctionTrace) -> None:
        begins_thread = found.begins_thread
        for address, frame in found.frames.items():
            state = state_of(frame)
            if begins_thread and frame.asked_kernel and state == _AS_CALLED:
                state = _BEGINS
            known = self._states.setdefault(address, state)
            if known != state:
                self._states[address] = None

    def spans(self) -> Iterator[Span]:
        """Yield what was found."""
        for address, state in self._states.items():
            instruction = self._code.at(address)
            if state is not None and instruction is not None:
                yield Span(address, instruction.end, state)


def _named(elf: Elf) -> Iterator[int]:
    """Yield the functions that symbols and the file's head name."""
    yield elf.entry
    yield from (elf.dynamic.get(tag, 0) for tag in (_DT_INIT, _DT_FINI))
    for table in (read_dynsym(elf), read_symtab(elf)):
        if table is not None:
            for index in table.functions():
                if _PART not in table.name(index):
                    yield table.values[index]


def _referred(elf: Elf, code: UndescribedCode) -> Iterator[int]:
    """Yield what calls, jumps and pointers may lead to; some of it is no start of a function."""
    yield from read_imports(elf).pointers.values()
    for start, end in elf.code_ranges:
        data = elf.read_at(start, min(end - start, MAX_READ_BYTES)) or b""
        for place, target in _distances(_CALL, start, data):
            if target in code and place not in code:  # other calls are met when they are followed
                yield target
        for _, target in _distances(_LEA, start, data):
            if target in code:
                yield target


def _distances(pattern: re.Pattern[bytes], start: int, data: bytes) -> Iterator[tuple[int, int]]:
    """Yield (place, target) of what has the pattern and a distance of 32 bits behind it."""
    for match in pattern.finditer(data):
        (distance,) = _DISTANCE.unpack_from(data, match.end())
        yield start + match.start(), start + match.end() + _DISTANCE.size + distance


def _signal_returns(code: UndescribedCode) -> Iterator[Span]:
    """Yield where handlers of signals return to; one byte before it, as calls are looked up."""
    for start, data in code.parts:
        for match in _SIGNAL_RETURN.finditer(data):
            first, last = max(match.start() - 1, 0), min(match.end() + 1, len(data))
            yield Span(start + first, start + last, SIGNAL)
