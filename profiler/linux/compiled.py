"""What BCC made of our C sources: instructions, and the maps that they use."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_LOAD_64 = 0x18  # BPF_LD | BPF_IMM | BPF_DW, include/uapi/linux/bpf.h: two instructions
_PSEUDO_MAP = 1  # BPF_PSEUDO_MAP_FD: the first one's source register says that it loads a map
_CALL = 0x85  # BPF_JMP | BPF_CALL
_PSEUDO_KFUNC_CALL = 2
_MOVE_32 = 0xB4  # BPF_ALU | BPF_MOV | BPF_K: clears the upper half
INSTRUCTION = struct.Struct("<BBhi")  # struct bpf_insn: code, registers, offset, immediate

# Placeholders in our C sources, see bpf/kfuncs.h and bpf/target.h. BCC's compiler emits a call of a
# helper with this number. It becomes a call of a kernel function, or the loading of a number.
KERNEL_FUNCTIONS = {
    0x7E000001: "bpf_iter_num_new",
    0x7E000002: "bpf_iter_num_next",
    0x7E000003: "bpf_iter_num_destroy",
}
_NUMBERS = {0x7E000010: "TARGET_TGID", 0x7E000011: "START_ROUTINE_OFFSET"}


@dataclass(frozen=True, slots=True)
class MapShape:
    """What the kernel has to know to make a map; sizes in bytes."""

    kind: int  # enum bpf_map_type
    key_bytes: int
    value_bytes: int
    max_entries: int
    flags: int


@dataclass(frozen=True, slots=True)
class CompiledPrograms:
    """Programs by function, maps by name. Programs load a map by its number in `maps`."""

    maps: dict[str, MapShape]
    programs: dict[str, bytes]

    def encode(self) -> bytes:
        """Return all as bytes."""
        shapes = [
            (name, shape.kind, shape.key_bytes, shape.value_bytes, shape.max_entries, shape.flags)
            for name, shape in self.maps.items()
        ]
        programs = {name: code.hex() for name, code in self.programs.items()}
        return json.dumps({"maps": shapes, "programs": programs}).encode()

    @classmethod
    def decode(cls, data: bytes) -> CompiledPrograms:
        """Return what `encode` made bytes of."""
        fields = json.loads(data)
        return cls(
            {name: MapShape(*shape) for name, *shape in fields["maps"]},
            {name: bytes.fromhex(code) for name, code in fields["programs"].items()},
        )


def with_map_numbers(code: bytes, numbers: Mapping[int, int]) -> bytes:
    """Return a program that BCC made with other numbers in place of its maps' descriptors."""
    patched = bytearray(code)
    for at in range(0, len(code), 8):
        opcode, registers, _, descriptor = INSTRUCTION.unpack_from(code, at)
        if opcode == _LOAD_64 and registers >> 4 == _PSEUDO_MAP:
            struct.pack_into("<i", patched, at + 4, numbers[descriptor])
    return bytes(patched)


def with_places_filled(
    code: bytes,
    descriptor: Callable[[int], int],
    numbers: Mapping[str, int],
    function_id: Callable[[str], int],
) -> bytes:
    """Return a program that the kernel can load.

    `descriptor` returns that of the map with a number, `numbers` are what the program is built for,
    and `function_id` returns the BTF id of a kernel function; it may raise KernelError.
    """
    patched = bytearray(code)
    for at in range(0, len(code), 8):
        opcode, registers, _, immediate = INSTRUCTION.unpack_from(code, at)
        if opcode == _LOAD_64 and registers >> 4 == _PSEUDO_MAP:
            struct.pack_into("<i", patched, at + 4, descriptor(immediate))
        elif opcode == _CALL and immediate in KERNEL_FUNCTIONS:
            found = function_id(KERNEL_FUNCTIONS[immediate])
            INSTRUCTION.pack_into(patched, at, _CALL, _PSEUDO_KFUNC_CALL << 4, 0, found)
        elif opcode == _CALL and immediate in _NUMBERS:
            INSTRUCTION.pack_into(patched, at, _MOVE_32, 0, 0, numbers[_NUMBERS[immediate]])
    return bytes(patched)
