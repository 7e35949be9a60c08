"""Counts by checkpoints: as exact as walks, and given up as soon as the container changes."""

from __future__ import annotations

import struct
from collections import Counter

import pytest

from lab.instance import Instance
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


_CHAIN = struct.Struct("<6Q")  # struct chain: id, window, inserts, elements, length, uses
_STRIDE = 64  # nodes to a checkpoint, on average


def forget(counting: Counting) -> None:
    """Empty what other tests have filled: without room, checkpoints give way to others."""
    for name in ("chains", "checkpoints"):
        counting.programs.module.map(name).clear()


def uses(counting: Counting, target: Box) -> int:
    """Return how often a container's checkpoints were of use; they have to be near each other."""
    module = counting.programs.module
    made = Counter(key[8:16] for key, _ in module.map("checkpoints").items())  # by chain
    used = 0
    for key, value in module.map("chains").items():
        if key.startswith(target.address.to_bytes(8, "little")):
            *_, length, times = _CHAIN.unpack(value)
            assert made[value[:8]] >= length // (2 * _STRIDE)
            used += times
    return used


@pytest.mark.parametrize("hollow", [0, 500], ids=["", "hollow"])
@pytest.mark.parametrize("kind", KINDS)
def test_counts_are_those_of_the_comparator_without_a_walk_for_each(
    asterisk: Instance, counting: Counting, kind: str, hollow: int
) -> None:
    forget(counting)
    with box(asterisk, kind, KINDS[kind]) as target, counting.opened():
        if hollow:
            asterisk.groundtruth(f"hollow {kind} {hollow}")
        learn(counting, target, list(SEARCHES))
        hits = 0
        for search in SEARCHES:
            truth = target.run(search, count=LOOKUPS)
            counted = counting.count(target.address, truth["line"])
            counting.clear()
            assert (search, differences(counted, truth, False)) == (search, {})
            hits += truth["hits"]
        # One walk of each chain has made them; what is not found among all elements needs none.
        assert uses(counting, target) >= hits - 3 > LOOKUPS
        counting.close()
        counting.check_accounting()


@pytest.mark.parametrize(("churn", "predicts"), [(20, False), (20_000, False), (1_000, True)])
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
    forget(counting)
    with box(asterisk, "changed", "hash 1 3001") as target:
        with counting.opened():
            learn(counting, target, ["hit"])
            target.run("hit", count=LOOKUPS)
            assert uses(counting, target) > 0
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
