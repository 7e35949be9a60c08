from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from profiler.model.recording import Accounting
from profiler.record.assembly.losses import LOST, loss_warnings
from profiler.wire.lookups import LookupCounter, Verdict

ALL = 100_000
ENOUGH = ALL // 1000  # as much may be lost without a warning


def lookups(counted: Mapping[LookupCounter, int], **others: Any) -> Any:
    """Return lookups of which everything but what is given went well."""
    counters = {**dict.fromkeys(LookupCounter, 0), LookupCounter.FIRED: ALL, **counted}
    made = {"counters": counters, "counting": (), "groups": {}, "containers": {}}
    return SimpleNamespace(**{**made, "lacks_room": False, "uncounted": 0, "unread": 0, **others})


def warnings(found: Any = None, samples: Accounting | None = None, lost_ends: int = 0) -> list[str]:
    threads = [SimpleNamespace(exited=number % 2 == 0) for number in range(2 * ALL)]
    observed: Any = SimpleNamespace(
        sample_accounting=samples or Accounting(),
        lookups=found,
        account=SimpleNamespace(threads=threads),
        lost_ends=lost_ends,
    )
    return list(loss_warnings(observed))


def group(verdict: Verdict, number: int) -> Any:
    return SimpleNamespace(verdicts=[number * (one is verdict) for one in Verdict])


def test_without_a_loss_there_is_no_warning() -> None:
    assert warnings() == []
    assert warnings(lookups({}), Accounting(fired=ALL, kept=ALL)) == []


@pytest.mark.parametrize(("lost", "collided"), [(ENOUGH + 1, 0), (ENOUGH, 1)])
def test_lost_samples(lost: int, collided: int) -> None:
    kept = ALL - lost - collided
    (said,) = warnings(samples=Accounting(ALL, kept, lost=lost, collided=collided))
    assert said.startswith("101 of 100,000 samples were lost (0.1 %): they came faster than")
    assert warnings(samples=Accounting(ALL, ALL - ENOUGH, lost=ENOUGH)) == []


@pytest.mark.parametrize("counter", LOST)
def test_lookups_that_are_lost_for_any_reason(counter: LookupCounter) -> None:
    (said,) = warnings(lookups({counter: ENOUGH + 1}))
    assert said == f"101 of 100,000 lookups were lost (0.1 %): 101 {LOST[counter]}"
    assert warnings(lookups({counter: ENOUGH})) == []


def test_reasons_for_lost_lookups_are_added_up() -> None:
    (said,) = warnings(lookups({LookupCounter.GROUPS: ENOUGH, LookupCounter.DEPTH: 5_000}))
    assert said == (
        "5,100 of 100,000 lookups were lost (5.1 %): 5,000 were inside 8 others, "
        "100 found no room for their call sites, or histograms"
    )


def test_call_stacks_that_are_lost_are_compared_with_those_that_were_unwound() -> None:
    stacks = {LookupCounter.STACKS: 999, LookupCounter.STACKLESS: 1}
    assert warnings(lookups(stacks)) == []
    (said,) = warnings(lookups({**stacks, LookupCounter.STACKLESS: 2}))
    assert said.startswith("2 of 1,001 call stacks of lookups were lost (0.2 %)")


def test_lookups_that_were_not_counted() -> None:
    windows = (SimpleNamespace(lookups=600), SimpleNamespace(lookups=399))
    assert warnings(lookups({}, counting=windows, uncounted=1)) == []
    (said,) = warnings(lookups({}, counting=windows, uncounted=2))
    assert said.startswith("2 of 1,001 lookups were not counted (0.2 %): there were more call")


@pytest.mark.parametrize("verdict", Verdict)
def test_lookups_without_a_count_where_there_was_no_room_for_their_kind(verdict: Verdict) -> None:
    groups = {1: group(Verdict.VERIFIED, 900), 2: group(verdict, 100)}
    said = warnings(lookups({}, groups=groups, lacks_room=True))
    is_kind = verdict in (Verdict.UNVERIFIED_LAYOUT, Verdict.UNVERIFIED_RULE)
    assert [words[:42] for words in said] == [
        "100 of 1,000 measured lookups have no coun"
    ] * is_kind
    assert warnings(lookups({}, groups=groups)) == []


def test_containers_that_were_not_read() -> None:
    (said,) = warnings(lookups({}, containers=range(2_000), unread=500))
    assert said == "500 of 2,500 containers (20 %) were not looked at: only the busiest are"


def test_ends_of_threads_that_were_lost() -> None:
    assert warnings(lost_ends=ENOUGH) == []
    (said,) = warnings(lost_ends=ALL)
    assert said.startswith("100,000 of 200,000 ends of threads were lost (50 %)")
