"""Counts in programs that lie in memory, and call, as other builds of Asterisk do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from profiler.probes.planner import ProbePlan, ProbePlanner
from profiler.wire.lookups import LookupCounter, Place, Verdict, place_of
from tests.counted import build_program, check, counted, running
from tests.counting import Counting, in_slots

pytestmark = pytest.mark.root

BUILDS = ("-O0", "-O2", "-O3", "-Os", "-O0 -fPIC", "-O2 -fPIC")
FAMILIES = ("", "-DAO2_DEBUG", "-DASTERISK_13", "-DASTERISK_13 -DAO2_DEBUG")
# Find calls callback through the procedure linkage table, so that both are entered.
CALLS_THROUGH = {"-O0", "-Os", "-O0 -fPIC", "-O2 -fPIC"}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("flags", BUILDS)
def test_layouts_are_found_by_what_is_in_memory(tmp_path: Path, flags: str, family: str) -> None:
    with (
        running(build_program(tmp_path, f"{flags} {family}")) as program,
        Counting(program.process.pid) as counting,
    ):
        check(counted(program, counting))
        # Of a list, of a hash container; of a tree and where the layout was not known yet.
        assert {key.buckets for key, _ in counting.groups()} | {0} == {0, 1, 7}
        counters = counting.check_accounting()
        assert counters[LookupCounter.UNFINISHED] == 0
        if flags in CALLS_THROUGH:
            assert counters[LookupCounter.INNER] > 0


@pytest.mark.parametrize("family", ["", "-DASTERISK_13"])
@pytest.mark.parametrize("flags", ["-O2", "-O3", "-O2 -fPIC"])
def test_the_end_of_every_traversal_is_seen_without_returns(
    tmp_path: Path, flags: str, family: str
) -> None:
    """Of those too that do not lock."""
    with (
        running(build_program(tmp_path, f"{flags} {family}")) as program,
        Counting(program.process.pid, change_plan=lambda p: p.plan().without_returns()) as counting,
    ):
        assert counting.plan.exhausted_sites and not counting.plan.has(Place.TRAVERSAL_UNLOCK)
        searched_once = 0
        for truth, count in counted(program, counting):
            # Whether it has searched again is only known by what it returns.
            unsure = counting.count(truth.address, entry=Place.WEAKPROXY_FIND).hits
            searched_once += unsure
            assert count.verified == truth.lookups - unsure == sum(count.comparison_slots.values())
            assert count.verdicts.get(Verdict.UNVERIFIED_RULE, 0) == unsure
            for slot, number in count.comparison_slots.items():
                assert number <= in_slots(truth.histogram)[slot]
        assert searched_once > 0
        assert counting.check_accounting()[LookupCounter.UNFINISHED] == 0


def without_ends_of_misses(planner: ProbePlanner) -> ProbePlan:
    plan = planner.plan()
    kept = [p for p in plan.probes if place_of(p.point.cookie) is not Place.TRAVERSAL_EXHAUSTED]
    assert len(kept) == len(plan.probes) - 2
    return replace(plan, probes=tuple(kept))


def test_a_traversal_whose_end_was_missed_is_not_verified(tmp_path: Path) -> None:
    """The programs are built as if the probes were there."""
    with (
        running(build_program(tmp_path, "-O2")) as program,
        Counting(
            program.process.pid, change_plan=without_ends_of_misses, EXHAUSTED_SITES=1
        ) as counting,
    ):
        for truth, count in counted(program, counting):
            assert set(count.verdicts) == {Verdict.VERIFIED, Verdict.UNVERIFIED_START}
            assert count.verified == sum(count.comparison_slots.values())
            for slot, number in count.comparison_slots.items():
                assert number <= in_slots(truth.histogram)[slot]
        assert counting.check_accounting()[LookupCounter.UNFINISHED] == 0
