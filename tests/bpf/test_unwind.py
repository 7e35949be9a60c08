"""Stacks unwound in the kernel are those that gdb sees, or those that the executed calls made."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import capstone
import pytest

from profiler.binary.elf import Elf
from profiler.binary.symtab import read_symtab
from profiler.linux import bpf
from profiler.measure import sampler
from profiler.measure.sampler import has_task_registers
from profiler.model.observed import UnwindStack
from profiler.process.mappings import VDSO, TargetCode
from profiler.wire.unwind import CAUSES, CPU_COUNTERS, MAX_FRAMES, WHOLE, push_site
from tests.bpf.unwinding import (
    AT_PROBE,
    KPROBE,
    Hit,
    TestProgram,
    Unwinding,
    compile_program,
    file_offsets,
    link_at,
    outside_of_leaf,
    probe,
    running,
    sample,
    sample_until,
    unwinding,
)
from tests.ways import plain_links

pytestmark = pytest.mark.root

BUILDS = (
    "-O0",
    "-O1",
    "-O2",
    "-O3",
    "-O0 -fomit-frame-pointer",
    "-O2 -fno-omit-frame-pointer",
    "-O2 -fcf-protection=full",
    "-O2 -fstack-clash-protection -fstack-protector-all",
    "-O2 -s",
    "-O2 -no-pie",
    "-O2 -static",
    "-Os -s -static",
)


def whole_and_equal(target: TestProgram, tid: int, samples: int = 200) -> None:
    """Samples in the spinning leaf: whole, and all callers those that gdb sees."""
    with unwinding(target.pid) as one:
        taken = sample(one, (tid,), samples)
    frames = target.gdb_frames()
    callers = tuple(address for address, _ in frames[1:])
    assert len(taken.stacks) >= samples
    assert {CAUSES[stack.cause] for stack in taken.stacks} == {"whole"}
    assert {stack.frames[1:] for stack in taken.stacks} == {callers}
    fired, kept, *others = taken.counters
    assert fired == kept == len(taken.stacks)
    assert others == [0, 0, 0]


@pytest.mark.parametrize("flags", BUILDS)
def test_every_kind_of_frame_equals_gdb(tmp_path: Path, flags: str) -> None:
    path = compile_program(tmp_path, *flags.split())
    with running(path, "user") as target:
        whole_and_equal(target, target.tid)


def test_main_thread_reaches_the_process_entry(tmp_path: Path) -> None:
    with running(compile_program(tmp_path, "-O2"), "um") as target:
        whole_and_equal(target, target.pid)


@pytest.mark.parametrize("mode", ["sm", "pm", "vm"])
def test_callers_of_a_leaf_that_calls_out_equal_gdb(tmp_path: Path, mode: str) -> None:
    """The leaf is in system calls (kernel-mode samples), in libc and its PLT, or in the vdso."""
    with running(compile_program(tmp_path, "-O2"), mode) as target:
        with unwinding(target.pid) as one:

            def is_outside(stack: UnwindStack) -> bool:
                if mode == "sm":
                    return bool(stack.kernel)
                path = path_at(one, stack.frames[0])
                return path != str(target.path) and (path == VDSO) == (mode == "vm")

            stacks = sample_until(one, target.pid, lambda all: sum(map(is_outside, all)) >= 50)
        callers = outside_of_leaf(target)
    assert {CAUSES[stack.cause] for stack in stacks} == {"whole"}
    assert {stack.frames[-len(callers) :] for stack in stacks} == {callers}
    assert max(len(stack.frames) for stack in stacks) <= len(callers) + 8


TIMES = {"user": 1, "signal": 2}  # how often a stack of each can be in the linker


@pytest.mark.parametrize("mode", TIMES)
def test_callers_of_what_the_dynamic_linker_has_to_find_are_right(
    tmp_path: Path, mode: str
) -> None:
    """Its entry for that keeps the frame in rbx, which the functions that it calls save."""
    path = compile_program(tmp_path, "-O2", "-Wl,-z,lazy", source="lazy.c")
    with running(path, mode) as target:
        with unwinding(target.pid) as one:
            stacks = sample_until(
                one, target.pid, lambda found: in_linker(one, found)[TIMES[mode]] >= 50
            )
            times = in_linker(one, stacks)
        frames = target.gdb_frames()
    names = [name for _, name in frames]
    callers = tuple(address for address, _ in frames[len(names) - names[::-1].index("busy") :])
    assert Counter(CAUSES[stack.cause] for stack in stacks) == {"whole": len(stacks)}
    assert {stack.frames[-len(callers) :] for stack in stacks} == {callers}
    assert max(times) == TIMES[mode]


def in_linker(one: Unwinding, stacks: tuple[UnwindStack, ...]) -> Counter[int]:
    """Count stacks by how often they enter the dynamic linker."""
    return Counter(times_in_linker(one, stack) for stack in stacks)


def times_in_linker(one: Unwinding, stack: UnwindStack) -> int:
    """How often the stack enters the dynamic linker and calls functions there."""
    is_inside = "".join("x" if "/ld-" in (path_at(one, at) or "") else " " for at in stack.frames)
    return sum(len(run) > 1 for run in is_inside.split())


def test_samples_while_a_signals_handler_returns_are_whole(tmp_path: Path) -> None:
    """All but some of 10,000: when the kernel begins a handler, it sets sp before ip."""
    with running(compile_program(tmp_path, "-O2"), "rm") as target, unwinding(target.pid) as one:
        taken = sample(one, (target.pid,), 1000)
    causes = Counter(CAUSES[stack.cause] for stack in taken.stacks)
    assert causes["whole"] >= 0.99 * len(taken.stacks), causes


def path_at(one: Unwinding, address: int) -> str | None:
    code = one.code.at(address)
    return None if code is None else code.mapping.path


def test_a_stack_that_is_too_deep_is_marked(tmp_path: Path) -> None:
    with running(compile_program(tmp_path, "-O0"), "dm", "300") as target:
        with unwinding(target.pid) as one:
            taken = sample(one, (target.pid,), 50)
        frames = target.gdb_frames()
    callers = tuple(address for address, _ in frames[1:MAX_FRAMES])
    assert {CAUSES[stack.cause] for stack in taken.stacks} == {"too deep"}
    assert {stack.frames[1:] for stack in taken.stacks} == {callers}
    fired, _, _, _, truncated = taken.counters
    assert fired == truncated == len(taken.stacks)


def test_the_deepest_stack_that_fits_is_whole(tmp_path: Path) -> None:
    path = compile_program(tmp_path, "-O0")
    with running(path, "dm", "20") as target:
        around = len(target.gdb_frames()) - 20
    with running(path, "dm", str(MAX_FRAMES - around)) as target:
        assert len(target.gdb_frames()) == MAX_FRAMES
        with unwinding(target.pid) as one:
            taken = sample(one, (target.pid,), 50)
    assert set(taken.causes) == {WHOLE}


def test_a_library_loaded_later_is_unwound_after_refresh(tmp_path: Path) -> None:
    later = compile_program(tmp_path, "-O2", "-shared", "-fPIC", source="later.c")
    path = compile_program(tmp_path, "-O2")
    with running(path, "l", LATER=str(later)) as target, unwinding(target.pid) as one:
        assert not one.refresh()
        target.go_on()
        target.wait_for(b"ready")
        before = sample(one, (target.tid,), 50)
        assert {CAUSES[stack.cause] for stack in before.stacks} == {"unknown mapping"}
        assert one.refresh()
        assert str(later) in {code.mapping.path for code in one.code.current}
        target_frames = target.gdb_frames()
        after = sample(one, (target.tid,), 50)
    callers = tuple(address for address, _ in target_frames[1:])
    assert {CAUSES[stack.cause] for stack in after.stacks} == {"whole"}
    assert {stack.frames[1:] for stack in after.stacks} == {callers}


def test_a_replaced_executable_is_still_read(tmp_path: Path) -> None:
    path = compile_program(tmp_path, "-O2")
    with running(path, "user") as target:
        path.unlink()
        path.write_text("another file by now")
        with unwinding(target.pid) as one:
            taken = sample(one, (target.tid,), 50)
    assert {CAUSES[stack.cause] for stack in taken.stacks} == {"whole"}


def test_other_processes_have_no_samples(tmp_path: Path) -> None:
    with (
        running(compile_program(tmp_path, "-O2"), "user") as target,
        unwinding(target.pid, TARGET_TGID=os.getpid()) as one,
    ):
        runs = 0
        while runs < 20:
            taken = sample(one, (target.tid,), 1, seconds=0.2)
            runs += taken.runs
            assert set(taken.counters) == {0}
            assert taken.stacks == ()


def test_a_full_map_of_stacks_is_counted(tmp_path: Path) -> None:
    with (
        running(compile_program(tmp_path, "-O2"), "pm") as target,
        unwinding(target.pid, UNWIND_STACKS=2) as one,
    ):
        taken = sample(one, (target.pid,), 20, "lost")
    fired, kept, lost, _, truncated = taken.counters
    assert lost >= 20
    assert fired == kept + lost + truncated


def test_a_full_ring_is_counted(tmp_path: Path) -> None:
    with (
        running(compile_program(tmp_path, "-O2"), "user") as target,
        unwinding(target.pid, CPU_RING_PAGES=1) as one,
    ):
        one.module.map("cpu_samples")
        taken = sample(one, (target.tid,), 1, "lost", pause_s=1.0)
    fired, kept, lost, _, _ = taken.counters
    assert fired == kept + lost
    assert kept == len(taken.stacks)


def test_another_stack_under_the_same_key_is_counted(tmp_path: Path) -> None:
    with running(compile_program(tmp_path, "-O2"), "user") as target, unwinding(target.pid) as one:
        sample(one, (target.tid,), 20)
        stored = one.module.map("unwind_stacks")
        for key, value in list(stored.items()):
            check = int.from_bytes(value[:8], "little") ^ 1
            stored.set(key, check.to_bytes(8, "little") + value[8:])
        taken = sample(one, (target.tid,), 20, "collided")
    fired, kept, lost, collided, truncated = taken.counters
    assert collided >= 20
    assert fired == kept + lost + collided + truncated


def test_this_kernel_has_the_registers_of_tasks() -> None:
    assert has_task_registers()


@pytest.mark.parametrize("stack", [{}, {"CPU_TASK_STACK": 0}], ids=["unknown", "elsewhere"])
def test_without_registers_samples_in_the_kernel_are_marked(
    tmp_path: Path, stack: dict[str, int]
) -> None:
    with (
        running(compile_program(tmp_path, "-O2"), "sm") as target,
        unwinding(target.pid, CPU_TASK_REGISTERS=0, **stack) as one,
    ):
        stacks = sample_until(
            one, target.pid, lambda all: sum(bool(stack.kernel) for stack in all) > 20
        )
        fired, kept, _, _, truncated = one.counters("cpu_counters", len(CPU_COUNTERS))
    in_kernel = [stack for stack in stacks if stack.kernel]
    assert {(CAUSES[stack.cause], stack.frames) for stack in in_kernel} == {("no registers", ())}
    assert {CAUSES[stack.cause] for stack in stacks if not stack.kernel} <= {"whole"}
    assert fired == kept + truncated
    assert truncated == len(in_kernel)


def test_registers_are_found_by_the_stack_where_the_kernel_does_not_tell_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampler, "has_task_registers", lambda: False)
    definitions = sampler.register_definitions()
    assert set(definitions) == {"CPU_TASK_REGISTERS", "CPU_TASK_STACK"}
    with running(compile_program(tmp_path, "-O2"), "sm") as target:
        with unwinding(target.pid, **definitions) as one:
            taken = sample(one, (target.pid,), 200)
        callers = outside_of_leaf(target)
    assert len([stack for stack in taken.stacks if stack.kernel]) > 20
    assert {CAUSES[stack.cause] for stack in taken.stacks} == {"whole"}
    assert {stack.frames[-len(callers) :] for stack in taken.stacks} == {callers}


def test_kernel_frames_can_be_left_out(tmp_path: Path) -> None:
    with (
        running(compile_program(tmp_path, "-O2"), "sm") as target,
        unwinding(target.pid, CPU_KERNEL_FRAMES=0) as one,
    ):
        taken = sample(one, (target.pid,), 200)
    assert {stack.kernel for stack in taken.stacks} == {()}
    assert {CAUSES[stack.cause] for stack in taken.stacks} == {"whole"}


# -- at single instructions

FUNCTIONS = ("work", "work_spill", "work_registers", "work_aligned", "leaf")
PUSH_RBX, PUSH_RBP = b"\x53", b"\x55"
NOP5 = bytes((0x0F, 0x1F, 0x44, 0, 0))  # a probe on it corrupts the red zone on Linux 6.18


class Code:
    """The instructions of the functions that the test program works in."""

    def __init__(self, path: Path) -> None:
        elf = Elf.from_bytes(path.read_bytes())
        symbols = read_symtab(elf)
        assert symbols is not None
        self.entries: dict[str, int] = {}
        self.ends: dict[str, int] = {}
        self.instructions: dict[int, capstone.CsInsn] = {}
        decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
        decoder.detail = True
        for name in FUNCTIONS:
            symbol = symbols.find(name)
            if symbol is None:
                continue  # the compiler made it part of its caller
            self.entries[name] = symbol.value
            self.ends[name] = symbol.value + symbol.size
            code = elf.read_at(symbol.value, symbol.size)
            assert code is not None
            for instruction in decoder.disasm(code, symbol.value):
                self.instructions[instruction.address] = instruction

    def probed(self) -> list[int]:
        return [at for at, one in self.instructions.items() if bytes(one.bytes) != NOP5]


def check_against_executed_calls(
    hits: list[Hit], code: Code, bias: int, base: tuple[int, ...]
) -> int:
    """Follow calls and returns in the order they were executed; return how many hits were right."""
    calls: list[int] = []
    previous: capstone.CsInsn | None = None
    checked = 0
    for hit in hits:
        address = hit.address - bias
        if previous is not None and previous.group(capstone.CS_GRP_CALL):
            if address != previous.address + previous.size:
                calls.append(previous.address + previous.size + bias)
        elif previous is not None and previous.group(capstone.CS_GRP_RET):
            assert calls.pop() == hit.address
        expected = (hit.address, *reversed(calls), *base)
        where = f"{code.instructions[address]} {CAUSES[hit.stack.cause]}"
        assert hit.stack.frames == expected, where
        assert hit.stack.cause == WHOLE
        previous = code.instructions[address]
        checked += 1
    return checked


def from_leaf(hits: list[Hit], code: Code, bias: int) -> list[Hit]:
    """Begin where the leaf is executing, with none of the functions below it entered."""
    low, high = code.entries["leaf"], code.ends["leaf"]
    inside = [low <= hit.address - bias < high for hit in hits]
    return hits[inside.index(True) :]


@pytest.mark.parametrize(
    ("flags", "returns"),
    [
        *((flags, ()) for flags in ("-O0", "-O1", "-O2", "-O3", "-Os", "-O2 -fcf-protection")),
        ("-O2 -fno-omit-frame-pointer", ()),
        ("-O2", ("work_registers", "work_aligned")),  # these also have return probes
    ],
)
def test_callers_are_right_at_every_instruction(
    tmp_path: Path, flags: str, returns: tuple[str, ...]
) -> None:
    """Entries, prologues, epilogues, tail calls, realigned stacks."""
    path = compile_program(tmp_path, *flags.split())
    code = Code(path)
    trapped = tuple(code.entries[name] for name in returns)
    with running(path, "wm") as target:
        hits = from_leaf(probe(target, code.probed(), trapped), code, bias_of(target))
        base = outside_of_leaf(target)
        assert check_against_executed_calls(hits, code, bias_of(target), base) > 500


def test_samples_in_the_trap_of_a_probed_push_are_right(tmp_path: Path) -> None:
    """The kernel shows such a thread one byte behind the push, done or not."""
    path = compile_program(tmp_path, "-O1")
    code = Code(path)
    numbers = {PUSH_RBX: 3, PUSH_RBP: 6}
    entries = [code.instructions[at] for at in code.entries.values()]
    pushes = {
        one.address: numbers[bytes(one.bytes)] for one in entries if bytes(one.bytes) in numbers
    }
    with running(path, "wm") as target:
        bias = bias_of(target)
        known: dict[int, set[tuple[int, ...]]] = {}
        for hit in probe(target, code.probed(), hits=50_000):
            known.setdefault(hit.address, set()).add(hit.stack.frames[1:])
        with unwinding(target.pid, AT_PROBE, "cpu.bpf.c") as one:
            program = one.module.load("probe_hit", KPROBE, plain_links().attach_type)
            attached = link_at(program, path, file_offsets(path, pushes), target.pid)
            for at, number in pushes.items():
                value = push_site(number, 1, is_first=True)
                key = (at + bias).to_bytes(8, "little")
                one.module.map("cpu_push_sites").set(key, value.to_bytes(4, "little"))
            behind = {at + bias + 1 for at in pushes} | {at + bias for at in pushes}

            def in_trap(stack: UnwindStack) -> bool:
                return bool(stack.kernel) and stack.frames[0] in known.keys() & behind

            stacks = sample_until(one, target.pid, lambda all: sum(map(in_trap, all)) > 100)
            bpf.close_all(attached)
    ours = [stack for stack in stacks if stack.frames[0] in known]
    assert [stack for stack in ours if stack.frames[1:] not in known[stack.frames[0]]] == []


def bias_of(target: TestProgram) -> int:
    code = TargetCode(target.pid)
    code.refresh()
    biases = [one.bias for one in code.current if one.mapping.path == str(target.path)]
    assert biases[0] is not None
    return biases[0]
