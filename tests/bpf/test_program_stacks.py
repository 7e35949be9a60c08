"""Programs at probes keep their stacks: another thread may run one before the first is done."""

from __future__ import annotations

import ctypes
import struct

import pytest

from profiler.linux.module import Program
from profiler.probes.attach import VARIANTS, Variant
from tests.bpf.test_lookup_programs import KNOWN
from tests.programs import lookup_programs
from tests.ways import way_name

pytestmark = pytest.mark.root

_SYS_BPF, _BPF_OBJ_GET_INFO_BY_FD = 321, 15
_INFO_BYTES, _CODE_BYTES_AT, _CODE_AT = 232, 16, 24  # struct bpf_prog_info
_MOST_CODE = 1 << 16
# add r9, gs:[...]: so x86's JIT finds the stack that a program shares with all threads of a CPU
# (arch/x86/net/bpf_jit_comp.c, emit_private_frame_ptr).
_SHARED_STACK = b"\x65\x4c\x03\x0c\x25"
_IDLE = ("calibrate_return",)  # it keeps nothing


def machine_code(program: Program) -> bytes:
    code = ctypes.create_string_buffer(_MOST_CODE)
    info = ctypes.create_string_buffer(_INFO_BYTES)
    struct.pack_into("<I", info, _CODE_BYTES_AT, _MOST_CODE)
    struct.pack_into("<Q", info, _CODE_AT, ctypes.addressof(code))
    asked = struct.pack("<IIQ", program.descriptor, _INFO_BYTES, ctypes.addressof(info))
    assert ctypes.CDLL(None).syscall(_SYS_BPF, _BPF_OBJ_GET_INFO_BY_FD, asked, len(asked)) == 0
    return code.raw[: struct.unpack_from("<I", info, _CODE_BYTES_AT)[0]]


@pytest.mark.parametrize("variant", VARIANTS, ids=way_name)
def test_no_program_at_a_probe_shares_its_stack(variant: Variant) -> None:
    if variant.why_not_here():
        return  # this kernel lacks it
    with lookup_programs(KNOWN, [variant]) as programs:
        loaded = [one for one in programs.module.programs() if one.name not in _IDLE]
        codes = {program.name: machine_code(program) for program in loaded}
    assert all(codes.values()) and {"lookup_commit", "count_entry"} <= codes.keys()
    assert not [name for name, code in codes.items() if _SHARED_STACK in code]
