"""Stacks unwound in the kernel are those that gdb sees."""

from __future__ import annotations

import mmap
import os
import struct
from collections import Counter
from pathlib import Path

import pytest

from profiler.linux import task_registers
from profiler.linux.task_registers import has_task_registers
from profiler.model.observed import UnwindStack
from profiler.process.mappings import VDSO
from profiler.sampling.sampling_programs import sampling_macros
from profiler.unwind.stacks import UnwoundStacks
from profiler.wire.unwind import CAUSES, CPU_COUNTERS, MAX_FRAMES, ROOT_FRAMES, WHOLE
from tests.bpf.unwinding import (
    TestProgram,
    Unwinding,
    compile_program,
    outside_of_leaf,
    running,
    sample,
    sample_until,
    unwinding,
)

pytestmark = pytest.mark.root

ONES = int.from_bytes(b"\1" * 8, "little")

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
    assert others == [0, 0]


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


def test_of_a_deep_stack_the_leafs_part_and_the_roots_are_kept(tmp_path: Path) -> None:
    with running(compile_program(tmp_path, "-O0"), "dm", "300") as target:
        with unwinding(target.pid) as one:
            taken = sample(one, (target.pid,), 50)
        frames = tuple(address for address, _ in target.gdb_frames())
    callers = frames[1 : MAX_FRAMES - ROOT_FRAMES] + frames[-ROOT_FRAMES:]
    assert set(taken.causes) == {WHOLE}
    assert {stack.frames[1:] for stack in taken.stacks} == {callers}
    assert {stack.left_out for stack in taken.stacks} == {len(frames) - MAX_FRAMES}


def test_a_stack_that_is_too_deep_is_marked(tmp_path: Path) -> None:
    path = compile_program(tmp_path, "-O0")
    with running(path, "dm", "3000") as target, unwinding(target.pid) as one:
        taken = sample(one, (target.pid,), 50)
    assert {CAUSES[stack.cause] for stack in taken.stacks} == {"too deep"}
    depth = 2048 if sampling_macros()["WALK_ITERATOR"] else 512
    assert {stack.left_out for stack in taken.stacks} == {depth - MAX_FRAMES}
    fired, _, _, truncated = taken.counters
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
        unwinding(target.pid, sampled_pid=os.getpid()) as one,
    ):
        runs = 0
        while runs < 20:
            taken = sample(one, (target.tid,), 1, seconds=0.2)
            runs += taken.runs
            assert set(taken.counters) == {0}
            assert taken.stacks == ()


def test_a_full_ring_is_counted(tmp_path: Path) -> None:
    with (
        running(compile_program(tmp_path, "-O2"), "user") as target,
        unwinding(target.pid, ring_bytes=mmap.PAGESIZE) as one,
    ):
        taken = sample(one, (target.tid,), 1, "lost", pause_s=1.0)
    fired, kept, lost, _ = taken.counters
    assert fired == kept + lost
    assert kept == len(taken.stacks)


def test_stacks_are_sent_whole_once_and_again_when_they_were_forgotten(tmp_path: Path) -> None:
    with running(compile_program(tmp_path, "-O2"), "user") as target, unwinding(target.pid) as one:
        sample(one, (target.tid,), 20)
        slots = one.module.map("unwind_sent")
        sent = slots.memory(slots.max_entries * slots.value_size)
        for check in (b"\0", b"\1"):  # none was sent, or in each slot another one
            sent[:] = check * len(sent)
            one.stacks = UnwoundStacks()
            taken = sample(one, (target.tid,), 20)
            assert {CAUSES[stack.cause] for stack in taken.stacks} == {"whole"}
        checks = [value for value in struct.unpack(f"<{len(sent) // 8}Q", sent) if value != ONES]
    assert len(checks) == len(one.stacks)


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
        fired, kept, _, truncated = one.counters("cpu_counters", len(CPU_COUNTERS))
    in_kernel = [stack for stack in stacks if stack.kernel]
    assert {(CAUSES[stack.cause], stack.frames) for stack in in_kernel} == {("no registers", ())}
    assert {CAUSES[stack.cause] for stack in stacks if not stack.kernel} <= {"whole"}
    assert fired == kept + truncated
    assert truncated == len(in_kernel)


def test_registers_are_found_by_the_stack_where_the_kernel_does_not_tell_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_registers, "has_task_registers", lambda: False)
    definitions = task_registers.register_definitions()
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
