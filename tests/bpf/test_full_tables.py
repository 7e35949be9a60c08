"""What the programs have no room for is counted: each of their tables is filled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import pytest

from profiler.wire.lookups import CountingControl, CountingState, LookupCounter, Place, place_of
from tests.counted import Program, build_program, running
from tests.counting import OPEN, Counting

pytestmark = pytest.mark.root

PAGE = 4096
EACH_UNWOUND = replace(OPEN, stack_share=1)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """Run a program that makes the same lookups in three containers each time it is asked."""
    with running(build_program(tmp_path_factory.mktemp("full"), "-O2")) as started:
        yield started


@contextmanager
def small(program: Program, room: Mapping[str, int]) -> Iterator[Counting]:
    """Count lookups with little room in some tables."""
    with Counting(program.process.pid, room=room) as counting:
        yield counting


def measured(
    program: Program, room: Mapping[str, int], rounds: int = 3
) -> dict[LookupCounter, int]:
    """Return the counters of rounds whose lookups are all unwound, and their stacks sent."""
    with small(program, room) as counting:
        table = counting.base.map("unwind_sent")
        sent = table.memory(table.max_entries * table.value_size)
        counting.open(EACH_UNWOUND)
        for _ in range(rounds):
            sent[:] = bytes(len(sent))
            program.round()
        counting.close()
        return counting.check_accounting()


def test_nothing_is_lost_where_there_is_room(program: Program) -> None:
    counters = measured(program, {})
    assert counters[LookupCounter.STACKS] == counters[LookupCounter.KEPT] > 0
    assert counters[LookupCounter.GROUPS] == counters[LookupCounter.STACKLESS] == 0


@pytest.mark.parametrize("table", ["groups", "histograms"])
def test_lookups_without_a_group_or_a_histogram_are_lost(program: Program, table: str) -> None:
    counters = measured(program, {table: 1})
    assert counters[LookupCounter.GROUPS] > 0


@pytest.mark.parametrize("room", [{"lookup_stacks": 1}, {"unwind_stacks": PAGE}])
def test_call_stacks_without_room_are_lost(program: Program, room: dict[str, int]) -> None:
    """In the table of stacks, or in the ring that nobody reads, where all are sent each time."""
    counters = measured(program, room, rounds=40)
    assert counters[LookupCounter.STACKLESS] > 0
    kept = counters[LookupCounter.KEPT] + counters[LookupCounter.TRUNCATED]
    assert counters[LookupCounter.STACKS] + counters[LookupCounter.STACKLESS] == kept


def test_lookups_that_find_no_room_to_be_counted_are_counted_as_lost(program: Program) -> None:
    with small(program, {"entry_counts": 1}) as counting:
        module, pid = counting.programs.module, program.process.pid
        points = [probe.point for probe in counting.plan.probes]
        entries = [p for p in points if place_of(p.cookie) <= Place.WEAKPROXY_FIND]
        open_all = CountingControl(is_open=True, allowance_ns=1 << 62, program_ns=0)
        module.map("counting_control").set(bytes(4), open_all.encode())
        counting.programs.count(entries, pid)
        program.round()
        counting.programs.stop_counting()
        ((_, counted),) = module.map("entry_counts").items()
        lost = CountingState.decode(module.map("counting_state").get(bytes(4)) or b"").lost
    assert lost > 0
    assert int.from_bytes(counted, "little") > 0


@pytest.mark.parametrize("table", ["layouts", "unknown_v_tables"])
def test_kinds_of_containers_without_room_are_noticed(program: Program, table: str) -> None:
    for entries, is_short in ((64, False), (1, True)):
        with small(program, {table: entries}) as counting, counting.opened():
            for _ in range(3):
                program.round()
                counting.learn()
            assert counting.discovery.lacks_room == is_short
