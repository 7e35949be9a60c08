"""Gives the kernel the tables by which it unwinds the target's stacks, and keeps them up to date.

Order of use: TableLibrary compiles what is mapped, `map_sizes` sizes the BPF maps, and once those
exist UnwindTables fills them; `update` again whenever the target maps or unmaps code.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from profiler.binary.call_frames import MalformedCallFramesError
from profiler.binary.elf import ElfError
from profiler.linux.module import BpfModule
from profiler.model.observed import WithoutTable
from profiler.process.mappings import TRAMPOLINES, CodeFile, LoadedCode
from profiler.unwind.cached_table import cached_table
from profiler.unwind.table import EMPTY_TABLE, UnwindTable
from profiler.wire.unwind import (
    ACTIVE,
    BLOCK,
    MAPPING,
    MAX_MAPPINGS,
    ROW,
    WIDE_RULE,
)

MAX_TABLE_BYTES = 96 << 20  # of rows and blocks in the kernel, for the whole target
SPARE_RATIO = 1.25  # room for what the target maps later
SPARE_ROWS, SPARE_BLOCKS, SPARE_RULES = 1 << 17, 1 << 14, 1 << 10
INFERRED = (
    "most of its code has no call frame information, as musl's; callers are worked out from "
    "instructions where that is certain"
)
GRACE_S = 0.05  # a program that still reads the other half of the mappings has long ended


class TableLibrary:
    """The tables of files, each compiled once."""

    def __init__(self) -> None:
        self._tables: dict[int, UnwindTable] = {}
        self._files: list[CodeFile] = []  # keeps them alive: we know them by identity
        self.problems: dict[int, str] = {}

    def table(self, file: CodeFile) -> UnwindTable:
        """Return the file's table, an empty one when it has none; `problem` says why."""
        table = self._tables.get(id(file))
        if table is None:
            table = self._tables[id(file)] = self._make(file)
            self._files.append(file)
        return table

    def problem(self, file: CodeFile) -> str | None:
        """Return why the file has no table, or a poor one."""
        return self.problems.get(id(file))

    def prepare(self, loaded: Iterable[LoadedCode]) -> None:
        """Make the tables of all that is loaded."""
        for code in loaded:
            if code.file is not None:
                self.table(code.file)

    def _make(self, file: CodeFile) -> UnwindTable:
        try:
            table = cached_table(file.elf)
        except (MalformedCallFramesError, ElfError) as error:
            self.problems[id(file)] = f"malformed call frame information: {error}"
            return EMPTY_TABLE
        if not table.rows:
            self.problems[id(file)] = "no call frame information"
        elif table.is_inferred:
            self.problems[id(file)] = INFERRED
        return table

    def map_sizes(self) -> dict[str, int]:
        """Return entries by BPF map, with room for code that is mapped later."""
        tables = self._tables.values()
        rows = int(sum(len(table.rows) for table in tables) * SPARE_RATIO) + SPARE_ROWS
        blocks = int(sum(len(table.blocks) // 2 for table in tables) * SPARE_RATIO) + SPARE_BLOCKS
        rules = sum(len(table.rules) for table in tables) // WIDE_RULE.size
        share = min(1.0, MAX_TABLE_BYTES / (rows * ROW.size + blocks * BLOCK.size))
        return {
            "unwind_rows": int(rows * share),
            "unwind_blocks": int(blocks * share),
            "unwind_rules": rules + SPARE_RULES,
        }


class _Area:
    """An array that is filled from its start."""

    def __init__(self, module: BpfModule, name: str, entry_bytes: int) -> None:
        array = module.map(name)
        self.capacity = array.max_entries
        self.used = 0
        self._entry_bytes = entry_bytes
        self._memory = array.memory(self.capacity * entry_bytes)

    def fits(self, entries: int) -> bool:
        return self.used + entries <= self.capacity

    def append(self, data: bytes) -> int:
        """Return the index of the first entry that was added."""
        first = self.used
        self.put(first, data)
        self.used += len(data) // self._entry_bytes
        return first

    def put(self, index: int, data: bytes) -> None:
        at = index * self._entry_bytes
        self._memory[at : at + len(data)] = data


class UnwindTables:
    """Owner of the BPF maps unwind_rows, _blocks, _rules, _mappings and _active."""

    def __init__(self, module: BpfModule, library: TableLibrary) -> None:
        self._library = library
        self._rows = _Area(module, "unwind_rows", ROW.size)
        self._blocks = _Area(module, "unwind_blocks", BLOCK.size)
        self._rules = _Area(module, "unwind_rules", WIDE_RULE.size)
        self._mappings = _Area(module, "unwind_mappings", MAPPING.size)
        self._active = _Area(module, "unwind_active", ACTIVE.size)
        # By table, the first row, block and rule; None: it did not fit.
        self._positions: dict[int, tuple[int, int, int] | None] = {}
        self._half = 1
        self._switched_at = 0.0

    def update(self, loaded: Sequence[LoadedCode]) -> WithoutTable:
        """Let the kernel unwind by these mappings from now on; return what has no good table.

        The new list is written beside the one in use and then made current by one store. Waits
        until no program can be reading the place that is written to.
        """
        self._library.prepare(loaded)
        skipped: list[tuple[str, str]] = []
        entries = []
        # The kernel asks for the original return address where it finds no mapping.
        loaded = [code for code in loaded if code.mapping.path != TRAMPOLINES]
        for code in loaded[:MAX_MAPPINGS]:
            entry, problem = self._entry(code)
            entries.append(entry)
            if problem is not None:
                skipped.append((code.mapping.path, problem))
        skipped += [(code.mapping.path, "too many mappings") for code in loaded[MAX_MAPPINGS:]]
        self._switch(b"".join(entries), len(entries))
        return tuple(skipped)

    def _entry(self, code: LoadedCode) -> tuple[bytes, str | None]:
        start, end = code.mapping.start, code.mapping.end
        nothing = MAPPING.pack(start, end, 0, 0, 0, 0, 0, 0, 0)
        if code.file is None or code.bias is None:
            return nothing, code.problem
        table = self._library.table(code.file)
        if not table.rows:
            return nothing, self._library.problem(code.file)
        position = self._position(table)
        if position is None:
            return nothing, "no room in the kernel's tables"
        base = table.base + code.bias & (1 << 64) - 1
        row, block, rule = position
        where = (row, block, len(table.blocks) // 2, rule)
        entry = MAPPING.pack(start, end, base, *where, table.follows_bx, 0)
        return entry, self._library.problem(code.file)

    def _position(self, table: UnwindTable) -> tuple[int, int, int] | None:
        if id(table) not in self._positions:
            rules = len(table.rules) // WIDE_RULE.size
            fits = (
                self._rows.fits(len(table.rows))
                and self._blocks.fits(len(table.blocks) // 2)
                and self._rules.fits(rules)
            )
            self._positions[id(table)] = self._write(table) if fits else None
        return self._positions[id(table)]

    def _write(self, table: UnwindTable) -> tuple[int, int, int]:
        return (
            self._rows.append(table.rows.tobytes()),
            self._blocks.append(table.blocks.tobytes()),
            self._rules.append(table.rules),
        )

    def _switch(self, entries: bytes, count: int) -> None:
        self._half ^= 1
        wait_s = self._switched_at + GRACE_S - time.monotonic()
        if wait_s > 0:
            time.sleep(wait_s)
        self._mappings.put(self._half * MAX_MAPPINGS, entries)
        self._active.put(0, ACTIVE.pack(self._half, count))
        self._switched_at = time.monotonic()
