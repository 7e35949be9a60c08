"""Containers and searches of the ground-truth module, and what counts must be beside its truth."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lab.instance import Instance
from profiler.wire.lookups import Verdict
from tests.counting import Count, Counting, in_slots

KINDS = {
    "hash": "hash 7 211",
    "hash-one": "hash 1 97 lock=rwlock",
    "hash-begin": "hash 13 211 insert=begin lock=nolock",
    "hash-sorted": "hash 7 211 sorted=yes",
    "hash-reject": "hash 7 211 sorted=yes duplicates=reject lock=rwlock",
    "hash-object": "hash 7 210 sorted=yes copies=5 duplicates=object",
    "hash-proxies": "hash 7 101 weak=yes",
    "list": "list 1 97",
    "list-begin": "list 1 90 copies=3 insert=begin",
    "list-sorted": "list 1 97 sorted=yes lock=nolock",
    "list-copies": "list 1 90 copies=5 sorted=yes",
    "rbtree": "rbtree 1 211",
    "rbtree-object": "rbtree 1 210 copies=5 duplicates=object",
    "rbtree-reject": "rbtree 1 211 duplicates=reject lock=rwlock",
    "rbtree-replace": "rbtree 1 211 duplicates=replace lock=nolock",
    "rbtree-copies": "rbtree 1 210 copies=5",
    "rbtree-proxies": "rbtree 1 101 weak=yes",
    "empty": "hash 7 0",
    "tree-of-one": "rbtree 1 1",
}
SEARCHES = (
    "hit",
    "miss",
    "object",
    "object-miss",
    "partial",
    "partial-miss",
    "scan",
    "scan-miss",
    "descending",
    "descending-miss",
    "scan-descending",
    "scan-pre",
    "scan-post",
    "multiple",
    "multiple-miss",
    "locked",
    "locked-miss",
    "callback-all",
    "callback-match-all",
    "callback-key",
    "callback-key-miss",
    "callback-sort",
    "callback-link",
    "callback-stop",
    "callback-data",
    "callback-data-miss",
    "unlink-nothing",
    "unlink",
    "unlink-address",
    "unlink-twin",
    "unlink-multiple",
    "unlink-multiple-miss",
    "unlink-scan",
    "weak",
    "weak-miss",
)
CHANGING = {name for name in SEARCHES if name.startswith("unlink")} - {
    "unlink-nothing",
    "unlink-twin",
}
# Without a probe at their traversal's beginning nobody knows how many they took.
UNPREDICTED = {"unlink-multiple", "unlink-multiple-miss", "unlink-scan"}
# Only trees have these orders; a lookup that ends within one is not counted.
TREE_ORDERS = {"scan-pre", "scan-post"}


@dataclass(frozen=True)
class Box:
    """A container of the ground-truth module."""

    instance: Instance
    name: str
    words: str  # that it was made by
    address: int
    is_sorted: bool
    elements: int

    def run(self, search: str, **options: object) -> dict[str, Any]:
        words = " ".join(f"{key}={value}" for key, value in options.items())
        return self.instance.groundtruth(f"run {self.name} {search} {words}", 300)

    def run_changing(
        self, search: str, lookups: int, changes: int, **options: object
    ) -> dict[str, Any]:
        """Search and change, for as long as so many lookups and changes take on this machine."""
        run = self.begin(search, **options)
        self.wait(run, lambda truth: truth["lookups"] >= lookups and truth["changes"] >= changes)
        return self.end(run)

    def begin(self, search: str, **options: object) -> int:
        """Let a run go on in the background and return its number."""
        words = " ".join(f"{key}={value}" for key, value in options.items())
        started = self.instance.groundtruth(f"start {self.name} {search} seconds=600 {words}")
        return int(started["run"])

    def end(self, run: int) -> dict[str, Any]:
        self.instance.groundtruth(f"stop {run}")
        return self.wait(run, is_done)

    def wait(self, run: int, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + 240
        while not is_so(truth := self.instance.groundtruth(f"result {run}")):
            assert time.monotonic() < deadline, truth
            time.sleep(0.02)
        return truth


def is_done(truth: dict[str, Any]) -> bool:
    return bool(truth["state"] == "done")


@contextmanager
def box(instance: Instance, name: str, words: str) -> Iterator[Box]:
    made = instance.groundtruth(f"make {name} {words}", 300)
    is_sorted = made["sorted"] or made["kind"] == "rbtree"
    try:
        yield Box(instance, name, words, int(made["address"], 16), is_sorted, made["elements"])
    finally:
        instance.groundtruth(f"free {name}", 300)


def differences(count: Count, truth: dict[str, Any], is_sorted: bool) -> dict[str, Any]:
    """Return what was counted wrong, with the truth; {} when all lookups were counted right."""
    pairs: dict[str, tuple[Any, Any]] = {
        "verdicts": (count.verdicts, {Verdict.VERIFIED: truth["lookups"]}),
        "hits": (count.hits, truth["hits"]),
        "misses": (count.misses, truth["lookups"] - truth["hits"]),
        "comparisons": (count.comparisons, truth["comparisons"]),
        "histogram": (count.comparison_slots, slots(truth["histogram"])),
    }
    if is_sorted:
        pairs["sort calls"] = (count.sort_calls, truth["sort_calls"])
        pairs["sort histogram"] = (count.sort_slots, slots(truth["sort_histogram"]))
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def slots(histogram: dict[str, int]) -> dict[int, int]:
    return in_slots({int(value): count for value, count in histogram.items()})


def overcounted(count: Count, truth: dict[str, Any]) -> dict[int, tuple[int, int]]:
    """Return the slots with more verified counts than there were: (counted, true) by slot."""
    right = slots(truth["histogram"])
    return {
        slot: (counted, right.get(slot, 0))
        for slot, counted in count.comparison_slots.items()
        if counted > right.get(slot, 0)
    }


def check_while_changing(
    counting: Counting, target: Box, search: str, lookups: int, changes: int, churn: int
) -> None:
    """Search while elements come and go; assert that no count is wrong."""
    learn(counting, target, [search])
    # Without a pause, readers keep writers waiting where they share a lock.
    options = {"rate": 1_000} if "rwlock" in target.words else {}
    truth = target.run_changing(
        search, lookups, changes, threads=4, churners=2, churn=churn, **options
    )
    counted = counting.count(target.address, truth["line"])
    assert counted.lookups == truth["lookups"], counting.counters()
    if not counting.predicts:  # such windows end when elements come and go: see test_every_lookup
        assert counted.verified == counted.lookups
    assert not [verdict for verdict in counted.verdicts if verdict.name.startswith("CONTRA")]
    assert overcounted(counted, truth) == {}


def possible(search: str, kind: str, is_hollow: bool) -> bool:
    if search.startswith("weak") and "proxies" not in kind:
        return False
    # Asterisk 16 and 22 crash when something is linked into a sorted chain with emptied nodes.
    is_sorted_chain = kind.startswith(("hash", "list")) and any(
        word in kind for word in ("sorted", "reject", "object", "copies")
    )
    return not (is_hollow and is_sorted_chain and search in CHANGING)


def learn(counting: Counting, target: Box, searches: list[str]) -> None:
    """Let the programs meet each kind of lookup, so that every function has its probe."""
    for _ in ("its layout", "its functions"):
        for search in searches:
            target.run(search, count=1)
        counting.learn()
    if counting.predicts:
        counting.predict()
    counting.clear()


def wrong_counts(
    counting: Counting, target: Box, searches: list[str], lookups: int
) -> dict[str, Any]:
    """Run every search and return those that were counted wrong."""
    learn(counting, target, searches)
    wrong = {}
    for search in searches:
        truth = target.run(search, count=lookups)
        counted = counting.count(target.address, truth["line"])
        counting.clear()
        if counting.predicts and search in UNPREDICTED:
            assert counted.verdicts == {Verdict.UNVERIFIED_START: lookups}
            continue
        if search in TREE_ORDERS and counted.verdicts.get(Verdict.UNVERIFIED_RULE) == lookups:
            continue
        if found := differences(counted, truth, target.is_sorted):
            wrong[search] = found
    counting.close()
    return wrong
