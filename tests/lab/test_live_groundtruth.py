"""The ground-truth module keeps the laws of ao2 containers, so that it can be trusted as truth."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab.errors import LabError
from lab.instance import Instance
from tests.lab.asterisks import start

pytestmark = pytest.mark.live
COUNT = 997


@pytest.fixture(scope="module", params=["16", "22"])
def module(request: pytest.FixtureRequest) -> Iterator[Instance]:
    with start(f"truth{request.param}", request.param) as running:
        yield running


@pytest.fixture
def make(module: Instance) -> Iterator[Any]:
    made: list[str] = []

    def make_one(*words: object) -> str:
        name = f"c{len(made)}"
        module.groundtruth(f"make {name} {' '.join(map(str, words))}")
        made.append(name)
        return name

    yield make_one
    for name in made:
        module.groundtruth(f"free {name}")


def run(module: Instance, name: str, search: str, **options: object) -> dict[str, Any]:
    words = " ".join(f"{key}={value}" for key, value in options.items())
    result = module.groundtruth(f"run {name} {search} {words}")
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


def elements(module: Instance, name: str) -> int:
    for line in module.cli("groundtruth list").splitlines():
        if f'"container": "{name}"' in line:
            return int(line.split('"elements": ')[1].split(",")[0])
    raise AssertionError(f"no container {name}")


def test_a_miss_on_a_list_compares_with_each(module: Instance, make: Any) -> None:
    name = make("list", 1, COUNT)
    assert histogram(run(module, name, "miss", count=13)) == {COUNT: 13}


def test_a_hit_on_a_list_compares_up_to_its_place(module: Instance, make: Any) -> None:
    name = make("list", 1, COUNT)
    hits = run(module, name, "hit", count=COUNT)
    assert histogram(hits) == dict.fromkeys(range(1, COUNT + 1), 1)
    assert hits["hits"] == COUNT
    assert histogram(run(module, name, "hit", count=5, at=17)) == {17: 5}


def test_hits_and_misses_on_a_hash_agree_about_its_chains(module: Instance, make: Any) -> None:
    buckets = 7
    name = make("hash", buckets, COUNT)
    for search in ("hit", "object", "callback-key", "locked"):
        at_least = histogram(run(module, name, search, count=COUNT))
        assert at_least[1] == buckets
        lengths = [
            place for place in at_least for _ in range(at_least[place] - at_least.get(place + 1, 0))
        ]
        assert len(lengths) == buckets
        assert sum(lengths) == COUNT
    for search in ("miss", "object-miss", "callback-key-miss", "locked-miss", "multiple-miss"):
        missed = run(module, name, search, count=1024)
        assert missed["hits"] == 0
        assert set(histogram(missed)) == set(lengths)


@pytest.mark.parametrize("kind", ["hash 7", "rbtree 1", "list 1", "hash 7 sorted"])
@pytest.mark.parametrize(
    "search", ["scan-miss", "callback-all", "callback-match-all", "callback-data-miss"]
)
def test_a_scan_compares_with_everything(
    module: Instance, make: Any, kind: str, search: str
) -> None:
    words = kind.split()
    name = make(words[0], words[1], COUNT, *(["sorted=yes"] if len(words) > 2 else []))
    result = run(module, name, search, count=3)
    assert histogram(result) == {COUNT: 3}
    assert result["sort_calls"] == 0


@pytest.mark.parametrize("search", ["scan", "callback-stop", "callback-data"])
def test_a_scan_ends_where_it_is_told(module: Instance, make: Any, search: str) -> None:
    name = make("hash", 7, COUNT)
    expected = dict.fromkeys(range(1, COUNT + 1), 1)
    assert histogram(run(module, name, search, count=COUNT)) == expected


def test_a_partial_key_that_is_absent_visits_all_buckets(module: Instance, make: Any) -> None:
    name = make("hash", 13, COUNT)
    assert histogram(run(module, name, "partial-miss", count=3)) == {COUNT: 3}


def test_a_tree_compares_once_on_a_hit_and_sorts_on_the_way(module: Instance, make: Any) -> None:
    name = make("rbtree", 1, COUNT, "duplicates=reject")
    hits, misses = (run(module, name, search, count=COUNT) for search in ("hit", "miss"))
    assert histogram(hits) == {1: COUNT}
    assert histogram(misses) == {0: COUNT}
    # the path of a red-black tree is at most 2 log2(N + 1) long
    assert max(histogram(hits, "sort_histogram")) <= 20
    assert max(histogram(misses, "sort_histogram")) <= 20


def test_a_sorted_chain_compares_only_equals(module: Instance, make: Any) -> None:
    name = make("list", 1, COUNT, "sorted=yes")
    hits = run(module, name, "hit", count=COUNT)
    assert histogram(hits) == {1: COUNT}
    assert histogram(hits, "sort_histogram") == dict.fromkeys(range(1, COUNT + 1), 1)
    assert run(module, name, "miss", count=5)["comparisons"] == 0


def test_multiple_compares_with_every_duplicate(module: Instance, make: Any) -> None:
    name = make("rbtree", 1, 500, "copies=5")
    assert histogram(run(module, name, "multiple", count=100)) == {5: 100}
    assert histogram(run(module, name, "hit", count=100)) == {1: 100}


@pytest.mark.parametrize(("duplicates", "kept"), [("allow", 500), ("reject", 100)])
def test_duplicates_are_kept_or_rejected(
    module: Instance, make: Any, duplicates: str, kept: int
) -> None:
    name = make("rbtree", 1, 500, "copies=5", f"duplicates={duplicates}")
    assert elements(module, name) == kept


@pytest.mark.parametrize(
    ("insert", "places"), [("end", {1: 100, 101: 50}), ("begin", {1: 50, 51: 100})]
)
def test_elements_are_inserted_at_the_end_or_the_beginning(
    module: Instance, make: Any, insert: str, places: dict[int, int]
) -> None:
    # a hundred names begin with the digits of hundreds 0, the last fifty with those of 1
    name = make("list", 1, 150, f"insert={insert}")
    assert histogram(run(module, name, "partial", count=150)) == places


@pytest.mark.parametrize("search", ["unlink", "unlink-address"])
def test_unlinked_elements_are_put_back(module: Instance, make: Any, search: str) -> None:
    name = make("list", 1, COUNT)
    result = run(module, name, search, count=COUNT)
    assert result["hits"] == COUNT
    assert elements(module, name) == COUNT


def test_emptied_nodes_are_not_compared(module: Instance, make: Any) -> None:
    name = make("list", 1, COUNT)
    module.groundtruth(f"hollow {name} 97")
    assert histogram(run(module, name, "miss", count=5)) == {COUNT - 97: 5}
    assert histogram(run(module, name, "hit", count=5, at=3)) == {3: 5}
    module.groundtruth(f"fill {name}")
    assert elements(module, name) == COUNT - 97


def test_proxies_are_compared_as_elements_are(module: Instance, make: Any) -> None:
    name = make("list", 1, 100, "weak=yes")
    found = run(module, name, "weak", count=100)
    assert (found["hits"], found["entry"]) == (100, "__ao2_weakproxy_find")
    assert histogram(found) == dict.fromkeys(range(1, 101), 1)
    assert histogram(run(module, name, "weak-miss", count=5)) == {100: 5}


def test_nested_lookups_are_counted_apart(module: Instance, make: Any) -> None:
    outer, inner = make("list", 1, 10), make("list", 1, 20)
    result = run(module, outer, "miss", count=3, inner=inner, depth=2)
    assert histogram(result) == {10: 3}
    assert [histogram(level) for level in result["nested"]] == [{20: 30}]


def test_lookups_nest_in_their_own_container(module: Instance, make: Any) -> None:
    name = make("list", 1, 5)
    result = run(module, name, "miss", count=2, inner=name, depth=4)
    assert histogram(result) == {5: 2}
    assert [histogram(level) for level in result["nested"]] == [{5: 10}, {5: 50}, {5: 250}]


@pytest.mark.parametrize("lock", ["mutex", "rwlock", "nolock"])
def test_eight_threads_count_as_one_does(module: Instance, make: Any, lock: str) -> None:
    name = make("list", 1, 100, f"lock={lock}")
    result = run(module, name, "hit", count=1000, threads=8)
    assert histogram(result) == dict.fromkeys(range(1, 101), 80)


@pytest.mark.parametrize("lock", ["mutex", "rwlock"])
def test_changes_meanwhile_leave_the_container_as_it_was(
    module: Instance, make: Any, lock: str
) -> None:
    name = make("hash", 7, COUNT, f"lock={lock}")
    words = "threads=2 rate=1000 churners=2 churn=2000 seconds=120"
    number = module.groundtruth(f"start {name} hit {words}")["run"]
    wait_for(module, number, lambda result: result["changes"] > 100)
    module.groundtruth(f"stop {number}")
    check_sums(wait_for(module, number, is_done))
    assert elements(module, name) == COUNT
    assert run(module, name, "hit", count=COUNT)["hits"] == COUNT


def wait_for(module: Instance, number: int, is_so: Callable[[dict[str, Any]], bool]) -> Any:
    """Return the first result of a run of which something is so."""
    deadline = time.monotonic() + 100
    while not is_so(result := module.groundtruth(f"result {number}")):
        assert time.monotonic() < deadline, result
        time.sleep(0.05)
    return result


def is_done(result: dict[str, Any]) -> bool:
    return bool(result["state"] == "done")


def test_a_storm_ends_by_its_time_and_keeps_its_result(module: Instance, make: Any) -> None:
    name = make("hash", 7, COUNT)
    number = module.groundtruth(f"storm {name} 2 1 miss")["run"]
    result = wait_for(module, number, is_done)
    check_sums(result)
    assert result["elapsed_ns"] >= 1e9


def test_a_storm_keeps_its_container_until_it_is_stopped(module: Instance, make: Any) -> None:
    name = make("hash", 7, COUNT)
    number = module.groundtruth(f"storm {name} 2 600 miss")["run"]
    assert module.groundtruth(f"result {number}")["state"] == "running"
    with pytest.raises(LabError, match="in use"):
        module.groundtruth(f"free {name}")
    module.groundtruth(f"stop {number}")
    assert wait_for(module, number, is_done)["elapsed_ns"] < 600e9


def test_threads_park_in_three_nested_lookups(module: Instance) -> None:
    assert module.groundtruth("park 3") == {"threads": 3, "arrived": 3}
    with pytest.raises(LabError, match="already"):
        module.groundtruth("spin 1 1")
    assert module.groundtruth("unpark") == {"ended": 3}
    assert module.groundtruth("spin 2 1")["threads"] == 2
    assert module.groundtruth("unpark") == {"ended": 2}


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
def test_misuse_is_refused(module: Instance, command: str, reason: str) -> None:
    module.groundtruth("make free hash 7 10 lock=nolock")
    module.groundtruth("make rw hash 7 10 lock=rwlock")
    module.groundtruth("make sorted hash 7 10 sorted=yes")
    try:
        with pytest.raises(LabError, match=reason):
            module.groundtruth(command)
    finally:
        module.groundtruth("free free")
        module.groundtruth("free rw")
        module.groundtruth("free sorted")


def test_it_unloads_in_the_middle_of_everything(module: Instance) -> None:
    module.groundtruth("make gone hash 7 1000")
    module.groundtruth("hollow gone 10")
    module.groundtruth("storm gone 2 60 miss")
    module.groundtruth("park 2")
    before = module.taskprocessor_count()
    module.groundtruth("tps leak 500")
    assert module.taskprocessor_count() == before + 500
    assert "Unloaded" in module.cli("module unload groundtruth.so")
    assert module.taskprocessor_count() == before
    assert module.groundtruth("make again list 1 1")["elements"] == 1
    module.groundtruth("free again")
