"""Compiles a file's call frame information into the table that the kernel unwinds with."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

from profiler.binary.call_frames import CallFrameSection, Entry, MalformedCallFramesError
from profiler.binary.functions import code_entries
from profiler.unwind.rules import Programs, RuleWords, Span
from profiler.wire.unwind import (
    BLOCK_SHIFT,
    KIND_CLONE,
    KIND_END,
    KIND_RSP,
    KIND_SHIFT,
    KIND_SIGNAL,
    word,
)

MAX_ROWS = 1 << 22  # rows of one file, 32 MB; libclang-cpp has a million
MAX_CODE_BYTES = 1 << 30
MAX_FOLLOWED_BYTES = 1 << 20  # of programs of a file with frames in rbx; ld.so 9 KB, libtsan 80

_BLOCK_BYTES = 1 << BLOCK_SHIFT
_LOW = 0xFFFFFFFF
_SIGNAL = word(KIND_SIGNAL)
_CLONE_GAP_BYTES = 32  # glibc's are 13 to 16


@dataclass(frozen=True, slots=True)
class UnwindTable:
    """A file's rows as the kernel reads them; see bpf/unwind_wire.h.

    `base` is the virtual address that the rows' offsets count from. `rows`: u64 each; `blocks`:
    u32 pairs (first row, count), one for each 1024 bytes of code; `rules`: struct unwind_rule each.
    `follows_bx`: the rules say what becomes of rbx, because some of them find the CFA by it.
    `is_inferred`: most of them were inferred from code, because nothing describes that.
    """

    base: int
    rows: array[int]
    blocks: array[int]
    rules: bytes
    follows_bx: bool = False
    is_inferred: bool = False


EMPTY_TABLE = UnwindTable(0, array("Q"), array("I"), b"")


def compile_table(
    section: CallFrameSection,
    code_ranges: tuple[tuple[int, int], ...],
    inferred: Callable[[list[Entry]], list[Span]] = lambda _: [],
) -> UnwindTable:
    """Return the table for the entries that describe code in `code_ranges`.

    `inferred` returns rules for code that these entries do not describe, by address.
    MalformedCallFramesError when the section breaks the format or exceeds our bounds.
    """
    entries = code_entries(section, code_ranges)
    spans = inferred(entries)
    ends = [(start, end) for start, end, *_ in entries] + [(one.start, one.end) for one in spans]
    if not ends:
        return EMPTY_TABLE
    base = min(ends)[0] // _BLOCK_BYTES * _BLOCK_BYTES
    span = max(end for _, end in ends) - base
    if span > MAX_CODE_BYTES:
        raise MalformedCallFramesError(f"code of {span} bytes")
    rules = RuleWords()
    rows = _all_rows(entries, spans, base, rules)
    followed = _rows_with_rbx(entries, spans, base) if rules.uses_rbx else None
    if followed is not None:
        rules, rows = followed
    blocks = _blocks(rows, (span >> BLOCK_SHIFT) + 1)
    described = sum(end - start for start, end, *_ in entries)
    is_inferred = sum(one.end - one.start for one in spans) > described
    return UnwindTable(base, rows, blocks, b"".join(rules.wide), followed is not None, is_inferred)


def _all_rows(entries: list[Entry], spans: list[Span], base: int, rules: RuleWords) -> array[int]:
    rows = _rows(entries, base, Programs(rules)) if entries else []
    if not spans:
        return array("Q", rows)
    words = {row >> 32: row & _LOW for row in rows}
    for one in spans:
        words.setdefault(one.end - base, 0)
        words[one.start - base] = rules.pack(one.state)
    rows, last = [], 0
    for at, one_word in sorted(words.items()):
        if one_word != last:
            rows.append(at << 32 | one_word)
        last = one_word
    return array("Q", rows)


def _rows(entries: list[Entry], base: int, programs: Programs) -> list[int]:
    # A word 0 row marks code that no entry describes.
    rows: list[int] = []
    covered, last = base, 0
    for start, end, cie, program in entries:
        own = programs.rows(cie, program)
        if start > covered and last:
            is_clone = _is_clone(last, start - covered, own[0] & _LOW)
            # A signal's trampoline ends with its system call, during which ip is behind that
            # (glibc, sysdeps/unix/sysv/linux/x86_64/libc_sigaction.c, __restore_rt).
            covered += last == _SIGNAL and start - covered > 1
            last = word(KIND_CLONE) if is_clone else 0
            rows.append((covered - base) << 32 | last)
        at = (start - base) << 32
        if own[-1] >> 32 >= end - start:
            own = tuple(row for row in own if row >> 32 < end - start)
        rows.extend([at + row for row in own[own[0] & _LOW == last :]])
        last = own[-1] & _LOW
        covered = end
        if len(rows) > MAX_ROWS:
            raise MalformedCallFramesError(f"more than {MAX_ROWS} rows")
    rows.append((covered - base) << 32)
    return rows


def _rows_with_rbx(
    entries: list[Entry], spans: list[Span], base: int
) -> tuple[RuleWords, array[int]] | None:
    # None where that would take too long, or has no room, so that other rules would be lost.
    if sum(len(program) for *_, program in entries) > MAX_FOLLOWED_BYTES:
        return None
    rules = RuleWords(follows_rbx=True)
    rows = _all_rows(entries, spans, base, rules)
    return None if rules.is_full else (rules, rows)


def _is_clone(word_before: int, gap_bytes: int, word_after: int) -> bool:
    """Return whether it is the gap that glibc leaves around the system call that starts a thread.

    The parent comes back from it with its return address on top of the stack, as before, and the
    child with nothing; nothing describes that (sysdeps/unix/sysv/linux/x86_64/clone.S and clone3.S,
    "End FDE now").
    """
    return (
        gap_bytes <= _CLONE_GAP_BYTES
        and word_before == word(KIND_RSP, 0, 1)
        and word_after >> KIND_SHIFT == KIND_END
    )


def _blocks(rows: array[int], count: int) -> array[int]:
    # No more than one row at each code byte, so that a block bounds the search for its end.
    blocks = array("I")
    first = 0
    for block in range(1, count + 1):
        high = min(len(rows), first + _BLOCK_BYTES)
        after = bisect_left(rows, block << (BLOCK_SHIFT + 32), first, high)
        blocks.extend((first, after - first))
        first = after
    return blocks
