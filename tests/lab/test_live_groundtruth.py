"""The ground-truth module keeps the laws of ao2 containers, so that it can be trusted as truth."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from typing import Any

import pytest

from lab.errors import LabError
from lab.instance import Instance
from tests.groundtruth import Box, box, is_done

pytestmark = pytest.mark.live
COUNT = 997
EACH_PLACE = dict.fromkeys(range(1, COUNT + 1), 1)  # of hits on all elements of one chain
Make = Callable[[str], Box]


@pytest.fixture
def make(asterisk: Instance) -> Iterator[Make]:
    with ExitStack() as stack:
        names = (f"c{number}" for number in count())
        yield lambda words: stack.enter_context(box(asterisk, next(names), words))


def run(target: Box, search: str, **options: object) -> dict[str, Any]:
    result = target.run(search, **options)
    for level in (result, *result["nested"]):
        check_sums(level)
    return result


def histogram(result: dict[str, Any], name: str = "histogram") -> dict[int, int]:
    return {int(key): value for key, value in result[name].items()}


def check_sums(level: dict[str, Any]) -> None:
    """The histograms hold every lookup once, and add up to the totals."""
    assert level["beyond"] == 0
    for name, total in (("histogram", "comparisons"), ("sort_histogram", "sort_calls")):
        counts = histogram(level, name)
        assert sum(counts.values()) == level["lookups"]
        assert sum(key * value for key, value in counts.items()) == level[total]


def elements(target: Box) -> int:
    for line in target.instance.cli("groundtruth list").splitlines():
        if f'"container": "{target.name}"' in line:
            return int(line.split('"elements": ')[1].split(",")[0])
    raise AssertionError(f"no container {target.name}")


@pytest.mark.parametrize(
    ("words", "search", "expected"),
    [
        # A miss compares with each of a chain, a hit up to its place.
        (f"list 1 {COUNT}", "miss count=13", {COUNT: 13}),
        (f"list 1 {COUNT}", f"hit count={COUNT}", EACH_PLACE),
        (f"list 1 {COUNT}", "hit count=5 at=17", {17: 5}),
        # A scan ends where it is asked to, over all buckets.
        (f"hash 7 {COUNT}", f"scan count={COUNT}", EACH_PLACE),
        (f"hash 7 {COUNT}", f"callback-stop count={COUNT}", EACH_PLACE),
        (f"hash 7 {COUNT}", f"callback-data count={COUNT}", EACH_PLACE),
        (f"hash 13 {COUNT}", "partial-miss count=3", {COUNT: 3}),
        # Duplicates are compared where more than one is asked for.
        ("rbtree 1 500 copies=5", "multiple count=100", {5: 100}),
        ("rbtree 1 500 copies=5", "hit count=100", {1: 100}),
        # A hundred names begin with the digits of hundreds 0, the last fifty with those of 1.
        ("list 1 150 insert=end", "partial count=150", {1: 100, 101: 50}),
        ("list 1 150 insert=begin", "partial count=150", {1: 50, 51: 100}),
        # Eight threads count as one does.
        *(
            (f"list 1 50 lock={lock}", "hit count=1000 threads=8", dict.fromkeys(range(1, 51), 160))
            for lock in ("mutex", "rwlock", "nolock")
        ),
    ],
)
def test_comparisons_are_those_of_the_container(
    make: Make, words: str, search: str, expected: dict[int, int]
) -> None:
    result = run(make(words), search)
    assert histogram(result) == expected
    finds_nothing = "miss" in search or "stop" in search  # it stops without a match
    assert result["hits"] == (0 if finds_nothing else result["lookups"])


def test_hits_and_misses_on_a_hash_agree_about_its_chains(make: Make) -> None:
    buckets = 7
    target = make(f"hash {buckets} {COUNT}")
    for search in ("hit", "object", "callback-key", "locked"):
        at_least = histogram(run(target, search, count=COUNT))
        assert at_least[1] == buckets
        lengths = [
            place for place in at_least for _ in range(at_least[place] - at_least.get(place + 1, 0))
        ]
        assert len(lengths) == buckets
        assert sum(lengths) == COUNT
    for search in ("miss", "object-miss", "callback-key-miss", "locked-miss", "multiple-miss"):
        missed = run(target, search, count=1024)
        assert missed["hits"] == 0
        assert set(histogram(missed)) == set(lengths)


@pytest.mark.parametrize("kind", ["hash 7 {}", "rbtree 1 {}", "list 1 {}", "hash 7 {} sorted=yes"])
@pytest.mark.parametrize(
    "search", ["scan-miss", "callback-all", "callback-match-all", "callback-data-miss"]
)
def test_a_scan_compares_with_everything(make: Make, kind: str, search: str) -> None:
    result = run(make(kind.format(COUNT)), search, count=3)
    assert histogram(result) == {COUNT: 3}
    assert result["sort_calls"] == 0


def test_a_tree_compares_once_on_a_hit_and_sorts_on_the_way(make: Make) -> None:
    target = make(f"rbtree 1 {COUNT} duplicates=reject")
    hits, misses = (run(target, search, count=COUNT) for search in ("hit", "miss"))
    assert histogram(hits) == {1: COUNT}
    assert histogram(misses) == {0: COUNT}
    # the path of a red-black tree is at most 2 log2(N + 1) long
    assert max(histogram(hits, "sort_histogram")) <= 20
    assert max(histogram(misses, "sort_histogram")) <= 20


def test_a_sorted_chain_compares_only_equals(make: Make) -> None:
    target = make(f"list 1 {COUNT} sorted=yes")
    hits = run(target, "hit", count=COUNT)
    assert histogram(hits) == {1: COUNT}
    assert histogram(hits, "sort_histogram") == EACH_PLACE
    assert run(target, "miss", count=5)["comparisons"] == 0


@pytest.mark.parametrize(("duplicates", "kept"), [("allow", 500), ("reject", 100)])
def test_duplicates_are_kept_or_rejected(make: Make, duplicates: str, kept: int) -> None:
    assert elements(make(f"rbtree 1 500 copies=5 duplicates={duplicates}")) == kept


@pytest.mark.parametrize("search", ["unlink", "unlink-address"])
def test_unlinked_elements_are_put_back(make: Make, search: str) -> None:
    target = make(f"list 1 {COUNT}")
    assert run(target, search, count=COUNT)["hits"] == COUNT
    assert elements(target) == COUNT


def test_emptied_nodes_are_not_compared(asterisk: Instance, make: Make) -> None:
    target = make(f"list 1 {COUNT}")
    asterisk.groundtruth(f"hollow {target.name} 97")
    assert histogram(run(target, "miss", count=5)) == {COUNT - 97: 5}
    assert histogram(run(target, "hit", count=5, at=3)) == {3: 5}
    asterisk.groundtruth(f"fill {target.name}")
    assert elements(target) == COUNT - 97


def test_proxies_are_compared_as_elements_are(make: Make) -> None:
    target = make("list 1 100 weak=yes")
    found = run(target, "weak", count=100)
    assert (found["hits"], found["entry"]) == (100, "__ao2_weakproxy_find")
    assert histogram(found) == dict.fromkeys(range(1, 101), 1)
    assert histogram(run(target, "weak-miss", count=5)) == {100: 5}


def test_nested_lookups_are_counted_apart(make: Make) -> None:
    outer, inner = make("list 1 10"), make("list 1 20")
    result = run(outer, "miss", count=3, inner=inner.name, depth=2)
    assert histogram(result) == {10: 3}
    assert [histogram(level) for level in result["nested"]] == [{20: 30}]


def test_lookups_nest_in_their_own_container(make: Make) -> None:
    target = make("list 1 5")
    result = run(target, "miss", count=2, inner=target.name, depth=4)
    assert histogram(result) == {5: 2}
    assert [histogram(level) for level in result["nested"]] == [{5: 10}, {5: 50}, {5: 250}]


@pytest.mark.parametrize("lock", ["mutex", "rwlock"])
def test_changes_meanwhile_leave_the_container_as_it_was(make: Make, lock: str) -> None:
    target = make(f"hash 7 {COUNT} lock={lock}")
    check_sums(target.run_changing("hit", 0, 101, threads=2, rate=1000, churners=2, churn=2000))
    assert elements(target) == COUNT
    assert run(target, "hit", count=COUNT)["hits"] == COUNT


def test_a_storm_ends_by_its_time_and_keeps_its_result(asterisk: Instance, make: Make) -> None:
    target = make(f"hash 7 {COUNT}")
    result = target.wait(asterisk.groundtruth(f"storm {target.name} 2 1 miss")["run"], is_done)
    check_sums(result)
    assert result["elapsed_ns"] >= 1e9


def test_a_storm_keeps_its_container_until_it_is_stopped(asterisk: Instance, make: Make) -> None:
    target = make(f"hash 7 {COUNT}")
    number = asterisk.groundtruth(f"storm {target.name} 2 600 miss")["run"]
    assert asterisk.groundtruth(f"result {number}")["state"] == "running"
    with pytest.raises(LabError, match="in use"):
        asterisk.groundtruth(f"free {target.name}")
    assert target.end(number)["elapsed_ns"] < 600e9


def test_threads_park_in_three_nested_lookups(asterisk: Instance) -> None:
    assert asterisk.groundtruth("park 3") == {"threads": 3, "arrived": 3}
    with pytest.raises(LabError, match="already"):
        asterisk.groundtruth("spin 1 1")
    assert asterisk.groundtruth("unpark") == {"ended": 3}
    assert asterisk.groundtruth("spin 2 1")["threads"] == 2
    assert asterisk.groundtruth("unpark") == {"ended": 2}


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("make x hash 0 10", "out of bounds"),
        ("make x hash 7 9999999", "out of bounds"),
        ("make x heap 7 10", "no such kind"),
        ("make x hash 7 10 color=red", "no such kind or option"),
        ("run nobody hit", "no such container"),
        ("run free hit threads=33", "out of bounds"),
        ("run free find", "no such search"),
        ("run free weak", "not weak"),
        ("run free hit at=1000", "no element at that place"),
        ("run free unlink threads=2", "without a lock"),
        ("run free miss churners=1", "without a lock"),
        ("run rw miss inner=rw churners=1", "taken twice"),
        ("run sorted iterate churners=1", "emptied nodes"),
        ("tps leak 99999999", "out of bounds"),
        ("result 999", "no such run"),
        ("free nobody", "no such container"),
    ],
)
def test_misuse_is_refused(asterisk: Instance, command: str, reason: str) -> None:
    asterisk.groundtruth("make free hash 7 10 lock=nolock")
    asterisk.groundtruth("make rw hash 7 10 lock=rwlock")
    asterisk.groundtruth("make sorted hash 7 10 sorted=yes")
    try:
        with pytest.raises(LabError, match=reason):
            asterisk.groundtruth(command)
    finally:
        asterisk.groundtruth("free free")
        asterisk.groundtruth("free rw")
        asterisk.groundtruth("free sorted")


def test_it_unloads_in_the_middle_of_everything(asterisk: Instance) -> None:
    asterisk.groundtruth("make gone hash 7 1000")
    asterisk.groundtruth("hollow gone 10")
    asterisk.groundtruth("storm gone 2 60 miss")
    asterisk.groundtruth("park 2")
    before = asterisk.taskprocessor_count()
    asterisk.groundtruth("tps leak 500")
    assert asterisk.taskprocessor_count() == before + 500
    assert "Unloaded" in asterisk.cli("module unload groundtruth.so")
    assert asterisk.taskprocessor_count() == before
    assert asterisk.groundtruth("make again list 1 1")["elements"] == 1
    asterisk.groundtruth("free again")
