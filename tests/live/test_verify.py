"""Counts beside the steps of the traversals themselves, each of which is trapped."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.instance import Instance
from profiler.probes.planner import ProbePlan, ProbePlanner
from profiler.wire.lookups import Place, Verdict, place_of
from tests.counting import Counting
from tests.groundtruth import KINDS, SEARCHES, TREE_ORDERS, box, learn, possible

pytestmark = [pytest.mark.live, pytest.mark.root]


def verifying(planner: ProbePlanner) -> ProbePlan:
    return planner.plan(verify=True)


def blind(planner: ProbePlanner) -> ProbePlan:
    """Plan to compare with steps that no probe sees."""
    plan = planner.plan(verify=True)
    seen = tuple(p for p in plan.probes if place_of(p.point.cookie) != Place.TRAVERSAL_NEXT)
    assert len(seen) == len(plan.probes) - 2  # of hash containers and of trees
    return replace(plan, probes=seen)


def test_walks_and_trapped_steps_agree(asterisk: Instance) -> None:
    checked = 0
    with Counting(asterisk.pid, change_plan=verifying) as counting:
        for kind in ("hash", "hash-begin", "hash-sorted", "list", "rbtree", "rbtree-proxies"):
            with box(asterisk, kind, KINDS[kind]) as target, counting.opened():
                searches = [search for search in SEARCHES if possible(search, kind, False)]
                learn(counting, target, searches)
                for search in set(searches) - TREE_ORDERS:
                    truth = target.run(search, count=69)
                    counted = counting.count(target.address, truth["line"])
                    counting.clear()
                    assert counted.verdicts == {Verdict.VERIFIED: 69}, search
                    assert (counted.agreed, counted.disagreed) == (69, 0), search
                    checked += counted.agreed
    assert checked > 10_000


def test_what_was_not_walked_right_would_show(asterisk: Instance) -> None:
    with (
        box(asterisk, "list", "list 1 50") as target,
        Counting(asterisk.pid, change_plan=blind) as counting,
        counting.opened(),
    ):
        learn(counting, target, ["hit"])
        truth = target.run("hit", count=50)
        counted = counting.count(target.address, truth["line"])
        assert (counted.agreed, counted.disagreed) == (1, 49)


def test_agreement_is_not_claimed_where_nothing_was_compared(asterisk: Instance) -> None:
    with (
        box(asterisk, "list", "list 1 50") as target,
        Counting(asterisk.pid) as counting,
        counting.opened(),
    ):
        learn(counting, target, ["hit"])
        truth = target.run("hit", count=50)
        counted = counting.count(target.address, truth["line"])
        assert (counted.verified, counted.agreed, counted.disagreed) == (50, 0, 0)
