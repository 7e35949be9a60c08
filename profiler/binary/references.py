"""Which data and functions the code of one file refers to, by a scan without decoding.

The scan looks for the byte patterns of the instructions that load an address. A pattern that lies
across two instructions can show a reference that is not there; it never hides one of these forms.
"""

from __future__ import annotations

import hashlib
import re
import struct
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from profiler import disk_cache
from profiler.binary.code_image import CodeImage, Function
from profiler.binary.elf import ET_EXEC, MAX_READ_BYTES, PF_X, Elf
from profiler.binary.instructions import Flow, Instruction
from profiler.binary.relocations import slot_of_stub, stub_section
from profiler.binary.symtab import STT_GNU_IFUNC, read_dynsym

# lea disp32(%rip), %r64: REX.W (and R), 8D, ModRM with mod 00 and r/m 101.
_LEA = re.compile(rb"[\x48\x4c]\x8d[\x05\x0d\x15\x1d\x25\x2d\x35\x3d](?=.{4})", re.DOTALL)
# The same, and in a file at a fixed address: mov $imm32, %r32; push $imm32; mov $imm32 to a
# register plus disp8, to the stack, or to disp32(%rip).
_ADDRESS = re.compile(
    rb"(?:[\x48\x4c]\x8d[\x05\x0d\x15\x1d\x25\x2d\x35\x3d]|[\xb8-\xbf\x68]"
    rb"|\xc7(?:[\x40-\x43\x45-\x47].|\x04\x24|\x44\x24.|\x84\x24.{4}|\x05.{4}))(?=.{4})",
    re.DOTALL,
)
# call or jmp rel32; call or jmp *disp32(%rip), for code that was compiled without stubs
_CALL = re.compile(rb"[\xe8\xe9](?=.{4})", re.DOTALL)
_SLOT_CALL = re.compile(rb"\xff[\x15\x25](?=.{4})", re.DOTALL)
_SLOT_JUMP = re.compile(rb"\xff\x25(?=.{4})", re.DOTALL)
_BEFORE_SLOT_JUMP = (0, 1, 4, 5)  # bytes in a stub: endbr64 and a bnd prefix, or one, or none
_LEA_OPCODE = 0x8D
_DISTANCE = struct.Struct("<i")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CODE = disk_cache.digest_of_code(__file__)
MAX_IDENTIFIER = 120
MAX_TEXT = 256


@dataclass(frozen=True, slots=True)
class Found:
    """References in both orders: (places, targets) by place, (targets, places) by target."""

    by_place: tuple[array[int], array[int]]
    by_target: tuple[array[int], array[int]]

    def encode(self) -> bytes:
        """Return all as bytes."""
        return b"".join(column.tobytes() for column in (*self.by_place, *self.by_target))

    @classmethod
    def decode(cls, data: bytes) -> Found:
        """Return what `encode` made bytes of."""
        size = len(data) // 4
        columns = (array("Q", data[at * size : (at + 1) * size]) for at in range(4))
        places, targets, sorted_targets, their_places = columns
        return cls((places, targets), (sorted_targets, their_places))


class CodeReferences:
    """References of one file, collected once when they are first needed."""

    def __init__(self, image: CodeImage) -> None:
        self._image = image
        self._elf = image.elf

    def uses(self, name: str) -> bool:
        """Return whether the file imports or exports the function."""
        return name in self._imported or self._image.exported(name) is not None

    def callee(self, instruction: Instruction) -> str | None:
        """Return the name of the exported or imported function that is called or jumped to."""
        if instruction.flow in (Flow.INDIRECT_CALL, Flow.INDIRECT_JUMP):
            memory = instruction.memory
            return None if memory is None else self._slot_name(memory.address)
        return None if instruction.target is None else self.function_name(instruction.target)

    def function_name(self, address: int) -> str | None:
        """Return the exported or, behind a linkage stub, imported name of what lies there."""
        return self._exports.get(address) or self._slot_name(slot_of_stub(self._elf, address))

    def callers(self, names: Collection[str]) -> dict[int, set[str]]:
        """Return the functions, by start, that seem to call or jump to some of `names`: to which.

        What is meant by an address is looked up from the few names, not for each of the calls.
        """
        slots = {
            slot: symbol.name
            for slot, symbol in self._image.imports.symbols.items()
            if symbol.name in names
        }
        found: dict[int, set[str]] = {}
        for known, calls in ((self._direct_targets(names, slots), _CALL), (slots, _SLOT_CALL)):
            for place, target in self._those_to(known, calls):
                function = self._image.function(place)
                if function is not None and stub_section(self._elf, place) is None:
                    found.setdefault(function.start, set()).add(known[target])
        return found

    def _direct_targets(self, names: Collection[str], slots: Collection[int]) -> dict[int, str]:
        """Return where some of `names` begin, and the linkage stubs that jump to them."""
        places = [address for address, name in self._exports.items() if name in names]
        for jump, _ in self._those_to(slots, _SLOT_JUMP):
            places += [jump - before for before in _BEFORE_SLOT_JUMP]
        named = {place: self.function_name(place) for place in places}
        return {place: name for place, name in named.items() if name is not None and name in names}

    def _those_to(
        self, wanted: Collection[int], pattern: re.Pattern[bytes]
    ) -> Iterator[tuple[int, int]]:
        return _distances(self._code(), wanted, pattern)

    def identifier(self, address: int | None) -> str | None:
        """Return the C identifier that is stored at a data address, None if none is."""
        if address is None:
            return None
        text = string_text(self._elf, address) or ""
        return text if len(text) <= MAX_IDENTIFIER and _IDENTIFIER.fullmatch(text) else None

    def to(self, address: int) -> list[int]:
        """Return the code addresses that refer to `address`, ascending."""
        targets, places = self._found.by_target
        low, high = bisect_left(targets, address), bisect_right(targets, address)
        return list(places[low:high])

    def inside(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield (place, target) of the references from code in [start, end), ascending."""
        places, targets = self._found.by_place
        index = bisect_left(places, start)
        while index < len(places) and places[index] < end:
            yield places[index], targets[index]
            index += 1

    def loads(self, function: Function) -> list[int]:
        """Return the addresses that one function refers to; the rest of the file is not read."""
        fixed = self._elf.type == ET_EXEC
        return list(_references([(function.start, function.code)], fixed).by_place[1])

    def calls(self, function: Function, target: int) -> bool:
        """Return whether one function seems to call or jump to an address of this file."""
        code = [(function.start, function.code)]
        return any(True for _ in _distances(code, (target,), _CALL))

    def resolvers(self) -> Iterator[tuple[int, str]]:
        """Yield (resolver, name) of the indirect functions that the file exports."""
        table = read_dynsym(self._elf)
        for index in table.functions() if table is not None else ():
            if table is not None and table.type(index) == STT_GNU_IFUNC:
                yield table.values[index], table.name(index)

    def find(self, code: bytes) -> Iterator[int]:
        """Yield where the file's code has these bytes."""
        for address, data in self._code():
            at = data.find(code)
            while at >= 0:
                yield address + at
                at = data.find(code, at + 1)

    def taken(self, address: int) -> bool:
        """Return whether code or data hold the address, other than to call it directly."""
        return address in self._pointers or bool(self.to(address))

    def _slot_name(self, slot: int | None) -> str | None:
        symbol = None if slot is None else self._image.imports.symbols.get(slot)
        return None if symbol is None else symbol.name

    def _code(self) -> Iterator[tuple[int, bytes]]:
        for start, end in self._elf.code_ranges:
            data = self._elf.read_at(start, min(end - start, MAX_READ_BYTES))
            if data is not None:
                yield start, data

    @cached_property
    def _imported(self) -> frozenset[str]:
        return frozenset(symbol.name for symbol in self._image.imports.symbols.values())

    @cached_property
    def _exports(self) -> dict[int, str]:
        table = read_dynsym(self._elf)
        if table is None:
            return {}
        named = ((table.values[index], table.name(index)) for index in table.functions())
        return dict(sorted(named, reverse=True))

    @cached_property
    def _found(self) -> Found:
        """All references, from the cache where the same code was searched before."""
        code = list(self._code())
        fixed = self._elf.type == ET_EXEC
        key = _CODE + bytes([fixed])
        for start, data in code:
            key += start.to_bytes(8, "little") + hashlib.sha256(data).digest()
        known = disk_cache.read("references", key)
        if known is not None:
            return Found.decode(known)
        found = _references(code, fixed)
        disk_cache.write("references", key, found.encode())
        return found

    @cached_property
    def _pointers(self) -> frozenset[int]:
        """Code addresses that the file's data holds once loaded."""
        if self._elf.type != ET_EXEC:
            return frozenset(self._image.imports.pointers.values())
        words: set[int] = set()
        for load in self._elf.loads:
            if not load.flags & PF_X:
                size = min(load.file_bytes, MAX_READ_BYTES) // 8 * 8
                words.update(
                    word for (word,) in struct.iter_unpack("<Q", self._elf.read(load.offset, size))
                )
        ranges = self._elf.code_ranges
        return frozenset(w for w in words if any(start <= w < end for start, end in ranges))


def _distances(
    code: Iterable[tuple[int, bytes]], wanted: Collection[int], pattern: re.Pattern[bytes]
) -> Iterator[tuple[int, int]]:
    """Yield (place, target) of what matches before a 32-bit distance to a wanted target."""
    read = _DISTANCE.unpack_from
    for address, data in code:
        base = address + _DISTANCE.size
        for match in pattern.finditer(data):
            end = match.end()
            target = base + end + read(data, end)[0]
            if target in wanted:
                yield address + match.start(), target


def _references(code: list[tuple[int, bytes]], fixed: bool) -> Found:
    """Search code, by its address, for what refers to another address."""
    places, targets = array("Q"), array("Q")
    read = _DISTANCE.unpack_from
    for start, data in code:
        for match in (_ADDRESS if fixed else _LEA).finditer(data):
            place, end = match.span()
            target = read(data, end)[0]
            if not fixed or data[place + 1] == _LEA_OPCODE:
                target += start + end + _DISTANCE.size
            if target >= 0:
                places.append(start + place)
                targets.append(target)
    pairs = sorted(zip(targets, places, strict=True))
    by_target = (array("Q", (t for t, _ in pairs)), array("Q", (p for _, p in pairs)))
    return Found((places, targets), by_target)


def string_text(elf: Elf, address: int) -> str | None:
    """Return the text that is stored at an address, None beyond the file or without an end."""
    data = elf.read_at(address, min(MAX_TEXT, elf.file_bytes_from(address)))
    end = data.find(b"\0") if data else -1
    return None if not data or end < 0 else data[:end].decode("utf-8", "backslashreplace")
