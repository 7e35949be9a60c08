from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from profiler.linux.task_registers import KERNEL_SAMPLES_LACK_STACKS
from profiler.model.observed import (
    Calibration,
    Followed,
    Observed,
    ObservedLookups,
    ThreadAccount,
    UnwindStack,
)
from profiler.model.recording import (
    Accounting,
    Frame,
    MappedFile,
    Recording,
    System,
    ThreadUse,
    Window,
)
from profiler.record.assembly.recording import assemble
from profiler.record.preparation.sampling import Options
from profiler.wire.lookups import LookupCounter
from profiler.wire.unwind import CAUSES, WHOLE
from tests.examples import target

SYSTEM = System("debian", (), "12", "Debian", "asterisk")
TARGET: Any = SimpleNamespace(
    recorded=lambda exited: target(exited=exited), process=SimpleNamespace(exe="/asterisk")
)


def named(address: int) -> Frame:
    return Frame(address, 0, address, None, None, None)


NAMES: Any = SimpleNamespace(
    path=lambda address: None if address < 0x100 else "asterisk",
    kernel_function=lambda _: None,
    pin=lambda: None,
    calls_at=lambda _: None,
    frames=lambda addresses: tuple(map(named, addresses)),
    files=lambda: (MappedFile("asterisk", None),),
    problems=lambda: ("no symbols",),
    system={"/asterisk": SYSTEM}.get,
)


def assembled(
    lookups: ObservedLookups | None = None,
    sampled_one_in: int = 1,
    cause: int = WHOLE,
    lost: int = 0,
    threads: tuple[ThreadUse, ...] = (),
    starts: Mapping[int, tuple[int, ...]] | None = None,
) -> Recording:
    observed = Observed(
        window=Window(0, 1_000),
        stopped_by="duration",
        exited=True,
        samples=((30, 1, 7), (10, 2, 8), (20, 99, 7)),
        sampled_one_in=sampled_one_in,
        sample_accounting=Accounting(3 + lost, 3, 0, lost, 0, 0),
        stacks={1: UnwindStack(cause, (0x100,), ()), 2: UnwindStack(WHOLE, (0x200,), ())},
        account=ThreadAccount(threads, 0),
        sockets=(),
        lookups=lookups,
        calibration=Calibration(600, 1_500, 900),
        sampling_cost_ns=11,
        lookup_cost_ns=22,
        without_table=(),
        warnings=("it was cold",),
        thread_starts=starts or {},
        followed=Followed((500, 1_000), cost_ns=(7, 11)),
    )
    return assemble(TARGET, Options(duration_ns=1), "2026-11-24T05:43:10Z", observed, NAMES)


def counted(counters: Mapping[LookupCounter, int]) -> ObservedLookups:
    return ObservedLookups({}, {}, {}, counters, (), (), 0, 1, {}, {}, {}, ())


def test_samples_are_in_the_order_of_time_without_those_whose_stack_was_lost() -> None:
    made = assembled()
    assert [(sample.time_ns, sample.tid) for sample in made.samples] == [(10, 8), (30, 7)]
    addresses = [
        made.frames[made.stacks[sample.stack].frames[0]].address for sample in made.samples
    ]
    assert addresses == [0x200, 0x100]


def test_the_frequency_is_that_of_the_samples_that_were_kept() -> None:
    assert assembled().frequency_hz == 99
    assert assembled(sampled_one_in=3).frequency_hz == 33


def test_every_lookup_is_kept_left_out_or_lost() -> None:
    numbers = {counter: 1 << index for index, counter in enumerate(LookupCounter)}
    accounting = assembled(counted(numbers)).lookup_accounting
    assert (accounting.fired, accounting.kept, accounting.truncated) == (1, 2, 4)
    assert accounting.filtered == 8 + 16  # inside another lookup, and without a traversal
    assert accounting.lost == 32 + 64 + 128 + 256 + 512
    assert assembled().lookup_accounting == Accounting()


def test_what_was_followed_is_the_time_line() -> None:
    line = assembled(counted(dict.fromkeys(LookupCounter, 0))).time_line
    assert (line.ends_ns, line.cost_ns) == ((500, 1_000), (7, 4))
    assert assembled().time_line == line


def test_losses_are_the_first_warning() -> None:
    first, *others = assembled(lost=1).warnings
    assert first.startswith("1 of 4 samples were lost (25 %)")
    assert tuple(others) == assembled().warnings


def test_stacks_of_the_kernel_alone_are_warned_of() -> None:
    made = assembled(cause=CAUSES.index("no registers"))
    assert KERNEL_SAMPLES_LACK_STACKS in made.warnings
    assert KERNEL_SAMPLES_LACK_STACKS not in assembled().warnings


def test_cost_and_warnings_of_all_sources_are_kept() -> None:
    made = assembled()
    assert (made.cost.sampling_ns, made.cost.lookups_ns) == (11, 22)
    assert (made.cost.trap_ns, made.cost.stepped_trap_ns) == (600, 1_500)
    assert made.warnings == ("it was cold", "no symbols")


def test_threads_begin_where_code_is_mapped() -> None:
    threads = tuple(ThreadUse(tid, "n", 1, 0, False) for tid in (1, 2, 3, 4))
    starts = {1: (0x300, 0x100), 2: (0x300, 0), 3: (0, 0x300)}
    made = assembled(threads=threads, starts=starts)
    frames = [frame.address for frame in made.frames]
    assert [[frames[index] for index in thread.start] for thread in made.threads] == [
        [0x300, 0x100],
        [0x300],
        [],
        [],
    ]
