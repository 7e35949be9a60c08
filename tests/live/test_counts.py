"""Counts of comparisons beside comparators of real Asterisks that count their own calls."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from lab.instance import Instance
from profiler.asterisk import ao2_code
from profiler.binary.code_image import CodeImage
from profiler.probes import planner
from profiler.probes.attach import VARIANTS, Variant, variants_here
from profiler.wire.lookups import LookupCounter, Place, Verdict
from tests.counting import Counting, in_slots
from tests.groundtruth import (
    KINDS,
    SEARCHES,
    box,
    check_while_changing,
    differences,
    learn,
    possible,
    wrong_counts,
)
from tests.ways import walk_here, way_name

pytestmark = [pytest.mark.live, pytest.mark.root]

LOOKUPS = 211
FEW_LOOKUPS = 53  # where the way is tried, not each element


def check_accounting(counting: Counting) -> dict[LookupCounter, int]:
    counters = counting.check_accounting()
    assert counters[LookupCounter.UNFINISHED] == 0
    return counters


def check_kinds(asterisk: Instance, counting: Counting) -> None:
    """Run every search in containers of all kinds."""
    for kind in ("hash", "hash-sorted", "list", "rbtree", "rbtree-proxies"):
        with box(asterisk, kind, KINDS[kind]) as target, counting.opened():
            searches = [search for search in SEARCHES if possible(search, kind, False)]
            assert (kind, wrong_counts(counting, target, searches, FEW_LOOKUPS)) == (kind, {})
            check_accounting(counting)


@pytest.mark.parametrize("hollow", [0, 9], ids=["", "hollow"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_search_is_counted_exactly(
    asterisk: Instance, counting: Counting, kind: str, hollow: int
) -> None:
    with box(asterisk, kind, KINDS[kind]) as target, counting.opened():
        if hollow and target.elements > hollow:
            asterisk.groundtruth(f"hollow {kind} {hollow}")
        hits = target.elements > 0
        searches = [
            search
            for search in SEARCHES
            if possible(search, kind, hollow > 0) and (hits or search.endswith("-miss"))
        ]
        assert wrong_counts(counting, target, searches, LOOKUPS) == {}
        check_accounting(counting)


@pytest.mark.parametrize("variant", VARIANTS, ids=way_name)
def test_every_way_to_attach_counts_the_same(asterisk: Instance, variant: Variant) -> None:
    if variant.why_not_here() or variant == variants_here()[0]:
        return  # this kernel lacks it, or all other tests count in it
    with Counting(asterisk.pid, variant) as counting:
        check_kinds(asterisk, counting)


def by_the_unlocking(image: CodeImage) -> ao2_code.Ao2Code:
    """Analyse as if no code were passed only where every node was visited."""
    found = ao2_code.analyse(image)
    traversals = tuple(replace(t, exhausted_sites=()) for t in found.traversals)
    return replace(found, traversals=traversals)


def test_ends_seen_by_the_unlocking_count_the_same(
    asterisk: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planner, "analyse", by_the_unlocking)
    with Counting(asterisk.pid) as counting:
        assert counting.plan.has(Place.TRAVERSAL_UNLOCK) and not counting.plan.exhausted_sites
        check_kinds(asterisk, counting)


def test_a_million_lookups_of_eight_threads_and_not_one_wrong(asterisk: Instance) -> None:
    # The scans of a tree have the comparators probed: from then on a comparison costs a trap.
    plans = {
        "hash-begin": {"hit": 40_000, "miss": 40_000, "scan-miss": 10_000},
        "rbtree-replace": {"hit": 5_000, "scan": 5_000},
        "hash": {"hit": 5_000, "miss": 5_000, "unlink": 10_000},
        "hash-one": {"hit": 5_000, "multiple": 5_000},
        "list": {"partial": 5_000, "locked-miss": 2_000, "callback-stop": 2_000},
    }
    total = 0
    for predicts in (False, True):
        with Counting(asterisk.pid, predicts=predicts) as counting:
            for kind, searches in plans.items():
                with box(asterisk, kind, KINDS[kind]) as target, counting.opened():
                    learn(counting, target, list(searches))
                    for search, each in searches.items():
                        if predicts and search == "unlink":
                            continue  # others unlink before it has the lock
                        truth = target.run(search, count=each // 2, threads=8)
                        counted = counting.count(target.address, truth["line"])
                        counting.clear()
                        wrong = differences(counted, truth, target.is_sorted)
                        assert (kind, search, wrong) == (kind, search, {})
                        total += truth["lookups"]
            check_accounting(counting)
    assert total > 1_000_000


@pytest.mark.parametrize(
    ("outer_kind", "inner_kind", "depth", "every"),
    [
        ("hash", "list", 2, 1),
        ("list", "rbtree", 2, 3),
        ("rbtree", "hash", 2, 1),
        ("hash-sorted", "hash-sorted", 3, 2),
        ("list", "same", 3, 5),
        ("rbtree", "same", 4, 1),
    ],
)
def test_nested_lookups_are_counted_apart(
    asterisk: Instance,
    counting: Counting,
    outer_kind: str,
    inner_kind: str,
    depth: int,
    every: int,
) -> None:
    same = inner_kind == "same"
    inner_words = "list 1 3" if same else KINDS[inner_kind]
    with (
        box(asterisk, "outer", KINDS[outer_kind]) as outer,
        box(asterisk, "inner", inner_words) as other,
        counting.opened(),
    ):
        inner = outer if same else other
        options = {"inner": inner.name, "nest": "hit", "depth": depth, "every": every}
        for _ in ("their layouts", "their functions"):
            outer.run("hit", count=5, **options)
            counting.learn()
        counting.clear()
        truth = outer.run("hit", count=LOOKUPS, threads=4, **options)
        counted = counting.count(outer.address, truth["line"])
        lines = {key.line for key, _ in counting.groups() if key.container == inner.address}
        assert differences(counted, truth, outer.is_sorted) == {}
        (nested_line,) = lines - {truth["line"]}
        nested = counting.count(inner.address, nested_line)
        assert sum(level["lookups"] for level in truth["nested"]) == nested.lookups > 0
        assert nested.verified == nested.lookups
        assert nested.comparisons == sum(level["comparisons"] for level in truth["nested"])
        assert nested.hits == sum(level["hits"] for level in truth["nested"])
        counting.close()
        check_accounting(counting)


@pytest.mark.parametrize(("churn", "predicts"), [(1_000, False), (20_000, False), (20_000, True)])
@pytest.mark.parametrize(
    ("kind", "search"),
    [
        ("hash", "hit"),
        ("hash", "miss"),
        ("hash", "scan"),
        ("hash", "unlink"),
        ("hash-one", "hit"),
        ("hash-reject", "hit"),
        ("list", "partial"),
        ("list", "locked"),
        ("rbtree", "hit"),
        ("rbtree", "scan"),
    ],
)
def test_changes_meanwhile_leave_verified_counts_right(
    asterisk: Instance,
    ways: dict[bool, Counting],
    kind: str,
    search: str,
    churn: int,
    predicts: bool,
) -> None:
    counting = ways[predicts]
    with box(asterisk, kind, KINDS[kind]) as target, counting.opened():
        check_while_changing(counting, target, search, 2_000, 100, churn)
        counting.close()
        check_accounting(counting)


@pytest.mark.parametrize(
    ("kind", "search", "verdict"),
    [
        *(
            (kind, search, Verdict.UNVERIFIED_CHANGE)
            for kind in ("hash", "hash-one", "list", "list-begin", "rbtree")
            for search in ("callback-move", "unlink-unseen")
        ),
        ("hash-proxies", "weak-gone", Verdict.UNVERIFIED_RULE),
        ("rbtree-proxies", "weak-gone", Verdict.UNVERIFIED_RULE),
    ],
)
def test_what_a_walk_cannot_see_leaves_no_verified_count(
    asterisk: Instance, counting: Counting, kind: str, search: str, verdict: Verdict
) -> None:
    with box(asterisk, kind, KINDS[kind]) as target, counting.opened():
        learn(counting, target, [search])
        inner = counting.counters()[LookupCounter.INNER]
        truth = target.run(search, count=LOOKUPS)
        counted = counting.count(target.address, truth["line"])
        counting.close()
        assert check_accounting(counting)[LookupCounter.INNER] == inner
        if counting.predicts and search == "unlink-unseen":
            verdict = Verdict.UNVERIFIED_START
        assert counted.verdicts == {verdict: LOOKUPS}


@pytest.mark.parametrize("iterator", [True, False], ids=["iterator", "tail calls"])
def test_long_chains_are_followed_to_their_end(asterisk: Instance, iterator: bool) -> None:
    variant = walk_here(iterator)
    if variant is None:
        return  # this kernel lacks it
    elements = 1_100_000 if iterator else 140_000
    with (
        box(asterisk, "long", f"list 1 {elements}") as target,
        Counting(asterisk.pid, variant) as counting,
        counting.opened(),
    ):
        learn(counting, target, ["callback-all"])
        for place in (elements, elements - 1):
            truth = target.run("hit", count=3, at=place)
            counted = counting.count(target.address, truth["line"])
            counting.clear()
            assert counted.comparisons == 3 * place
            assert differences(counted, truth, False) == {}
        counting.close()
        check_accounting(counting)


# A walk that keeps checkpoints takes two steps more than the chain has elements.
@pytest.mark.parametrize("iterator", [True, False], ids=["iterator", "tail calls"])
@pytest.mark.parametrize("more", [0, 1])
def test_longer_chains_are_reported_as_truncated(
    asterisk: Instance, iterator: bool, more: int
) -> None:
    variant = walk_here(iterator)
    if variant is None:
        return  # this kernel lacks it
    steps, calls, longest = (99_991, 0, 99_989) if iterator else (5_000, 28, 29 * 5_000)
    elements = longest + more
    with (
        box(asterisk, "longer", f"list 1 {elements}") as target,
        Counting(asterisk.pid, variant, WALK_STEPS=steps, WALK_CALLS=calls) as counting,
        counting.opened(),
    ):
        learn(counting, target, ["callback-all"])
        truth = target.run("hit", count=5, at=elements)
        counted = counting.count(target.address, truth["line"])
        counting.close()
        counters = check_accounting(counting)
        assert truth["comparisons"] == 5 * elements
        assert counted.verdicts == {Verdict.TRUNCATED_WALK if more else Verdict.VERIFIED: 5}
        assert counted.comparisons == (0 if more else 5 * elements)
        assert counters[LookupCounter.TRUNCATED] == 5 * more


@pytest.mark.parametrize("iterator", [True, False], ids=["iterator", "tail calls"])
def test_walks_through_a_tree_are_truncated_too(asterisk: Instance, iterator: bool) -> None:
    variant = walk_here(iterator)
    if variant is None:
        return  # this kernel lacks it
    elements = 40_000
    definitions: dict[str, Any] = {"WALK_STEPS": 10_000, "WALK_CALLS": 0} if iterator else {}
    with (
        box(asterisk, "wood", f"rbtree 1 {elements}") as target,
        Counting(asterisk.pid, variant, **definitions) as counting,
        counting.opened(),
    ):
        learn(counting, target, ["callback-all"])
        truth = target.run("scan", count=400)
        counted = counting.count(target.address, truth["line"])
        counting.close()
        check_accounting(counting)
        assert set(counted.verdicts) == {Verdict.VERIFIED, Verdict.TRUNCATED_WALK}
        assert counted.lookups == 400
        histogram = {int(value): count for value, count in truth["histogram"].items()}
        right = sorted(Counter(histogram).elements())
        short, cut = right[: counted.verified], right[counted.verified :]
        assert 9_000 < cut[0] < elements
        assert short[-1] < cut[0]
        assert counted.comparison_slots == in_slots(Counter(short))


def test_deeper_nesting_than_is_followed_is_counted_as_lost(asterisk: Instance) -> None:
    with (
        box(asterisk, "deep", "list 1 5") as target,
        Counting(asterisk.pid, MAX_DEPTH=2) as counting,
        counting.opened(),
    ):
        learn(counting, target, ["hit"])
        truth = target.run("miss", count=7, inner="deep", nest="miss", depth=4)
        counted = counting.count(target.address, truth["line"])
        counting.close()
        counters = check_accounting(counting)
        assert differences(counted, truth, False) == {}
        assert counters[LookupCounter.DEPTH] == sum(
            level["lookups"] for level in truth["nested"][1:]
        )


def test_sort_calls_of_lookups_that_are_not_followed_are_no_ones(asterisk: Instance) -> None:
    with (
        box(asterisk, "shallow", "rbtree 1 211") as target,
        Counting(asterisk.pid, MAX_DEPTH=1) as counting,
        counting.opened(),
    ):
        learn(counting, target, ["hit", "scan"])
        truth = target.run("scan", count=7, inner="shallow", nest="hit", depth=2)
        counted = counting.count(target.address, truth["line"])
        counting.close()
        counters = check_accounting(counting)
        assert counters[LookupCounter.DEPTH] == truth["nested"][0]["lookups"] > 0
        assert differences(counted, truth, is_sorted=True) == {}
        assert counted.sort_calls == 0


@pytest.mark.parametrize(("entries", "is_short"), [(64, False), (1, True)])
def test_functions_that_compare_and_find_no_room_are_noticed(
    asterisk: Instance, entries: int, is_short: bool
) -> None:
    with (
        box(asterisk, "functions", "rbtree 1 211") as target,
        Counting(asterisk.pid, room={"wanted_functions": entries}) as counting,
        counting.opened(),
    ):
        learn(counting, target, ["hit"])
        assert counting.discovery.lacks_room == is_short


@pytest.mark.parametrize(
    ("room", "counter"),
    [({"groups": 1}, LookupCounter.GROUPS), ({"threads": 1}, LookupCounter.THREADS)],
)
def test_lookups_without_room_are_counted_as_lost(
    asterisk: Instance, room: dict[str, int], counter: LookupCounter
) -> None:
    with (
        box(asterisk, "room", "hash 7 211") as target,
        Counting(asterisk.pid, room=room) as counting,
        counting.opened(),
    ):
        learn(counting, target, ["hit", "miss", "scan"])
        truths = [target.run(search, count=500, threads=4) for search in ("hit", "scan")]
        kept = counting.count(target.address).lookups
        counting.close()
        counters = check_accounting(counting)
        assert counters[counter] > 0
        assert kept + counters[counter] >= sum(truth["lookups"] for truth in truths)
