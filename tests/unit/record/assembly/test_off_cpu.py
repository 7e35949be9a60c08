from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from profiler.asterisk.container_calls import NamedCall, SourcePlace
from profiler.model import offcpu
from profiler.model.observed import UnwindStack
from profiler.model.observed_offcpu import (
    ObservedOffCpu,
    SeenLock,
    SeenLongWait,
    SeenStack,
    SeenWaits,
    WaitKey,
)
from profiler.model.offcpu import OffCpu
from profiler.model.quantities import Window
from profiler.model.recording import Frame, MappedFile
from profiler.record.assembly.off_cpu import recorded_off_cpu
from profiler.record.assembly.stacks import StackIndex
from profiler.wire.unwind import CAUSES, WHOLE

WINDOW = Window(0, 1_000)
LOCK, WAIT, WORKER, UNLOCK = 0x1000, 0x1100, 0x2000, 0x1200
INSIDE, STORAGE = 0x2100, 0x2200  # a container's own code, and who called it
SOURCES = {INSIDE: "astobj2_container.c", STORAGE: "channelstorage_ao2_legacy.c"}
SYMBOLS = {
    LOCK: "pthread_mutex_lock",
    WAIT: "pthread_cond_wait",
    UNLOCK: "pthread_mutex_unlock",
}
FUTEX = 0x7F00
STACKS = {
    1: UnwindStack(WHOLE, (LOCK, WORKER), ()),
    2: UnwindStack(WHOLE, (WAIT, WORKER), ()),
    3: UnwindStack(CAUSES.index("no table"), (UNLOCK, WORKER), ()),
    4: UnwindStack(WHOLE, (LOCK, INSIDE, STORAGE, WORKER), ()),
}


def named(address: int) -> Frame:
    file = 0 if address in SYMBOLS else 1
    return Frame(address, file, address, address, SYMBOLS.get(address), None)


def calls_at(address: int) -> Any:
    """Return what is called at an address inside a call, as far as the source is known."""
    file = SOURCES.get(address + 1)
    if file is None:
        return None
    calls = SimpleNamespace(
        before=lambda _: NamedCall(address, "__ao2_lock"),
        place=lambda _: SourcePlace(file, 69, None),
        text=lambda *_: None,
    )
    return calls, address


NAMES: Any = SimpleNamespace(
    path=lambda _: "/lib/libc.so.6",
    kernel_function=lambda _: None,
    calls_at=calls_at,
    frames=lambda addresses: tuple(map(named, addresses)),
    files=lambda: (MappedFile("/lib/libc.so.6", None), MappedFile("asterisk", None)),
    variable={FUTEX: "asterisk: lock"}.get,
)


def waits(stack: int | None, is_mutex: bool = True, **others: Any) -> SeenWaits:
    key = WaitKey(7, 202, FUTEX, 128, is_mutex, stack, offcpu.BY_THREAD, 9, 3)
    key = key._replace(**others)
    return SeenWaits(key, 2, 4.0, 40.0, 11, 11, 20, ((9, 10, 1), (11, 12, 1)), 0)


def long_wait(tid: int = 7, is_mutex: bool = True) -> SeenLongWait:
    return SeenLongWait(
        tid=tid,
        syscall=202,
        arguments=(FUTEX, 128, 2 if is_mutex else 0),
        since_ns=5,
        until_ns=900,
        has_ended=False,
        stack=SeenStack((LOCK, WORKER - 1), None),
        holder_tid=9,
        holder_stack=SeenStack((WORKER,), "no rule"),
    )


def recorded(
    *seen: SeenWaits, long_waits: tuple[SeenLongWait, ...] = (), seen_count: int = 10
) -> tuple[OffCpu, StackIndex]:
    observed = ObservedOffCpu(
        waits=seen,
        long_waits=long_waits,
        locks=(SeenLock(FUTEX, FUTEX, "mutex", 0x5000, WORKER, "hash", WAIT, None, None, 8, 4),),
        descriptors={},
        windows=(Window(0, 250),),
        covered_ns=250,
        seen=seen_count,
        left_out=3,
        lost=1,
        cost_ns=77,
    )
    index = StackIndex(STACKS, NAMES.path, NAMES.kernel_function, True, True)
    return recorded_off_cpu(observed, STACKS, WINDOW, index, NAMES), index


def test_a_lock_with_who_gave_it_back() -> None:
    made, index = recorded(waits(1))
    (group,) = made.groups
    assert (group.kind, group.syscall, group.lock) == (offcpu.LOCK, "futex", 0)
    assert (group.seen, group.count, group.time_ns, group.max_ns) == (2, 4.0, 40.0, 11)
    assert (group.waker_tid, group.duration_ns.total, group.duration_ns.max) == (9, 20, 11)
    assert group.waker_stack is not None
    assert index.stacks[group.waker_stack].cause == "no table"
    (lock,) = made.locks
    assert (lock.place, lock.object, lock.container) == ("asterisk: lock", 0x5000, "hash")
    assert (lock.comparator, lock.elements, lock.buckets) == ("pthread_cond_wait", 8, 4)
    assert (made.covered_ratio, made.cost_ns) == (0.25, 77)


def test_a_containers_lock_is_wanted_by_who_called_the_container() -> None:
    made, _ = recorded(waits(4))
    assert [lock.files for lock in made.locks] == [("channelstorage_ao2_legacy.c",)]


def test_waits_for_work_have_no_holder() -> None:
    made, _ = recorded(waits(2, is_mutex=False))
    (group,) = made.groups
    assert (group.kind, group.lock) == (offcpu.CONDITION, None)
    assert (group.waker, group.waker_tid, group.waker_stack) == (offcpu.BY_THREAD, None, None)
    assert made.locks == ()


def test_a_condition_that_looks_like_a_mutex_is_none_until_others_want_it_as_one() -> None:
    made, _ = recorded(waits(2))
    assert [group.kind for group in made.groups] == [offcpu.CONDITION]
    made, _ = recorded(waits(2), waits(1, tid=8))
    assert [group.kind for group in made.groups] == [offcpu.LOCK, offcpu.LOCK]
    made, _ = recorded(waits(2), long_waits=(long_wait(tid=8),))
    assert [group.kind for group in made.groups] == [offcpu.LOCK]


def test_a_wait_without_a_stack_is_what_others_there_are() -> None:
    alone, _ = recorded(waits(None, is_mutex=False))
    assert [group.kind for group in alone.groups] == [offcpu.FUTEX]
    made, _ = recorded(waits(None, is_mutex=False), waits(2, tid=8, is_mutex=False))
    assert [group.kind for group in made.groups] == [offcpu.CONDITION, offcpu.CONDITION]
    made, _ = recorded(waits(None, is_mutex=False), waits(1, tid=8, is_mutex=False))
    assert [group.kind for group in made.groups] == [offcpu.LOCK, offcpu.LOCK]


def test_what_differs_only_in_what_is_not_recorded_is_one_group() -> None:
    made, _ = recorded(
        waits(2, is_mutex=False), waits(2, is_mutex=False, address=FUTEX + 64, waker_tid=11)
    )
    (group,) = made.groups
    assert (group.seen, group.count, group.duration_ns.count) == (4, 8.0, 4)
    assert group.duration_ns.slots == ((9, 10, 2), (11, 12, 2))


def test_every_wait_went_somewhere() -> None:
    made, _ = recorded(waits(1), waits(2, is_mutex=False), waits(3, tid=8))
    assert made.accounting.balanced()
    assert (made.accounting.kept, made.accounting.truncated) == (4, 2)
    assert not recorded(waits(1))[0].accounting.balanced()


def test_preempted_threads_wait_for_no_lock() -> None:
    made, _ = recorded(waits(None, syscall=None, is_preempted=True))
    (group,) = made.groups
    assert (group.kind, group.syscall, group.stack) == (offcpu.PREEMPTED, None, None)


def test_a_long_wait_has_the_stacks_that_were_read_from_outside() -> None:
    made, index = recorded(long_waits=(long_wait(),))
    (wait,) = made.long_waits
    assert (wait.kind, wait.lock, wait.holder_tid, wait.has_ended) == (offcpu.LOCK, 0, 9, False)
    assert wait.duration_ns == 895
    assert wait.stack is not None and wait.holder_stack is not None
    assert index.stacks[wait.stack].cause is None
    assert index.stacks[wait.holder_stack].cause == "no rule"


def test_a_wait_without_a_stack_takes_that_of_the_same_long_one() -> None:
    made, _ = recorded(waits(None), waits(None, tid=8), long_waits=(long_wait(),))
    one, other = made.groups
    assert one.stack == made.long_waits[0].stack
    assert other.stack is None
