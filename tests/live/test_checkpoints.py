"""Counts by checkpoints: as exact as walks, and given up as soon as the container changes."""

from __future__ import annotations

import pytest

from lab.instance import Instance
from profiler.wire.lookups import NO_WINDOW, decode_window_state
from tests.counting import Counting
from tests.groundtruth import Box, box, check_while_changing, differences, learn

pytestmark = [pytest.mark.live, pytest.mark.root]

LOOKUPS = 1_009
KINDS = {
    "hash-one": "hash 1 3001",
    "hash-three": "hash 3 6007",
    "hash-begin": "hash 1 3001 insert=begin lock=rwlock",
    "list": "list 1 2003",
    "hash-nolock": "hash 1 3001 lock=nolock",
}
SEARCHES = ("hit", "miss", "object", "object-miss", "locked", "locked-miss", "callback-key")


def nodes(counting: Counting) -> int:
    """Return how many nodes were read since the probes were placed last."""
    state = counting.programs.module.map("window_state").get(bytes(4))
    return decode_window_state(state or NO_WINDOW.encode()).nodes


def chains(counting: Counting) -> int:
    return sum(1 for _ in counting.programs.module.map("chains").items())


@pytest.mark.parametrize("hollow", [0, 500], ids=["", "hollow"])
@pytest.mark.parametrize("kind", KINDS)
def test_counts_are_those_of_the_comparator_for_a_few_nodes_each(
    asterisk: Instance, counting: Counting, kind: str, hollow: int
) -> None:
    with box(asterisk, kind, KINDS[kind]) as target, counting.opened():
        if hollow:
            asterisk.groundtruth(f"hollow {kind} {hollow}")
        learn(counting, target, list(SEARCHES))
        for search in SEARCHES:
            before = nodes(counting)
            truth = target.run(search, count=LOOKUPS)
            counted = counting.count(target.address, truth["line"])
            counting.clear()
            assert (search, differences(counted, truth, False)) == (search, {})
            # One walk is 2,000 to 3,000 nodes; about 64 lie between checkpoints.
            assert (nodes(counting) - before) / LOOKUPS < 130
        counting.close()
        counting.check_accounting()


@pytest.mark.parametrize(
    ("churn", "predicts"), [(20, False), (1_000, False), (20_000, False), (1_000, True)]
)
@pytest.mark.parametrize("search", ["hit", "miss", "object", "unlink"])
@pytest.mark.parametrize("kind", ["hash-one", "hash-three", "hash-begin"])
def test_no_count_is_wrong_while_elements_come_and_go(
    asterisk: Instance,
    ways: dict[bool, Counting],
    kind: str,
    search: str,
    churn: int,
    predicts: bool,
) -> None:
    counting = ways[predicts]
    with box(asterisk, kind, KINDS[kind]) as target, counting.opened():
        check_while_changing(counting, target, search, 1_000, 50, churn)


def test_nothing_is_cached_from_one_window_to_the_next(
    asterisk: Instance, counting: Counting
) -> None:
    with box(asterisk, "changed", "hash 1 3001") as target:
        with counting.opened():
            learn(counting, target, ["hit"])
            target.run("hit", count=LOOKUPS)
            assert chains(counting) > 0
        # The probe on `insert` is gone: take every element out and put it back at the end.
        target.run("unlink", count=3001 * 2 // 3)
        counting.clear()
        with counting.opened():
            assert check_hits(counting, target) == {}


def test_a_container_at_the_address_of_another_is_not_taken_for_it(
    asterisk: Instance, counting: Counting
) -> None:
    with counting.opened():
        for turn in range(8):
            with box(asterisk, "same", "hash 1 3001") as target:
                learn(counting, target, ["hit"])
                if turn % 2:
                    # The same elements in another order.
                    target.run("unlink", count=1_009)
                    counting.clear()
                assert check_hits(counting, target) == {}
                counting.clear()


def check_hits(counting: Counting, target: Box) -> dict[str, object]:
    truth = target.run("hit", count=LOOKUPS)
    return differences(counting.count(target.address, truth["line"]), truth, False)
