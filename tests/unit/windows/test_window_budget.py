"""What windows of one kind are granted and charged."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from profiler.windows.budget import Governor
from profiler.windows.window_budget import WindowBudget

SECOND_NS = 1_000_000_000
PLACING_NS = 1_000


def governor(ratio: float | None = 0.01) -> Governor:
    return Governor(ratio, 0, lambda: 0.5)


def test_a_window_is_granted_once_there_is_enough() -> None:
    whole = governor()
    budget = WindowBudget(whole, whole.share(0.5))
    assert budget.open(0) is None
    at_ns = budget.next_ns(0)
    assert budget.next_ns(at_ns - 1) >= at_ns
    grant = budget.open(at_ns + 1_000_000)
    assert grant is not None and budget.grant == grant


def test_all_that_is_taken_is_charged_once_to_both() -> None:
    whole = governor()
    limit = whole.share(0.5)
    budget = WindowBudget(whole, limit, placing_ns=PLACING_NS)
    budget.charge(5_000, SECOND_NS, closed=False)
    budget.charge(7_000, SECOND_NS, closed=True)
    budget.charge(7_000, SECOND_NS, closed=True)
    assert whole.spent_ns == limit.spent_ns == budget.charged_ns == 7_000 + 2 * PLACING_NS


def test_a_limit_that_is_the_whole_is_charged_once() -> None:
    whole = governor()
    WindowBudget(whole, whole).charge(5_000, SECOND_NS, closed=True)
    assert whole.spent_ns == 5_000


def test_what_is_measured_beside_is_paid_out_of_its_own_bucket_first() -> None:
    whole = governor()
    level_ns = whole.level_ns(SECOND_NS)
    WindowBudget(whole, whole.share(0.5), is_beside=True).charge(5_000, SECOND_NS, closed=False)
    assert (whole.spent_ns, whole.level_ns(SECOND_NS)) == (5_000, level_ns)


def test_no_window_opens_or_goes_on_while_others_have_overdrawn_the_whole() -> None:
    whole = governor()
    budget = WindowBudget(whole, whole.share(0.5))
    later_ns = 10 * SECOND_NS
    assert budget.open(later_ns) is not None and budget.go_on(later_ns) is not None
    whole.charge(whole.level_ns(later_ns) + 4_000_000)
    assert budget.go_on(later_ns) is None and budget.open(later_ns) is None


def test_only_what_a_window_took_beyond_its_grant_is_learnt_as_late() -> None:
    whole = governor()
    limit = whole.share(1)
    budget = WindowBudget(whole, limit)
    grant = budget.open(10 * SECOND_NS)
    assert grant is not None
    half_ns = grant.allowance_ns / 2
    budget.charge(half_ns, 10 * SECOND_NS, closed=False)
    budget.charge(3 * half_ns, 10 * SECOND_NS, closed=True)
    later = budget.open(20 * SECOND_NS)
    assert later is not None
    assert limit.level_ns(20 * SECOND_NS) - later.allowance_ns == pytest.approx(half_ns, abs=1)


def test_without_a_budget_all_is_granted() -> None:
    whole = governor(None)
    budget = WindowBudget(whole, whole.share(0.5))
    budget.charge(1e12, SECOND_NS, closed=True)
    assert budget.open(SECOND_NS) is not None and budget.go_on(SECOND_NS) is not None


SHARES = {"counted": 0.5, "waits": 0.3, "tasks": 0.25, "links": 0.1}
MS = 1_000_000


def windows_of_a_minute(sampling: float, seed: int) -> Counter[str]:
    """Return how many windows of each kind opened; each spends what it is granted, and closes.

    `sampling`: of one CPU, what samples cost.
    """
    whole = Governor(0.01, 0, random.Random(seed).random)
    kinds = {
        name: WindowBudget(whole, whole.share(share), is_beside=name != "counted")
        for name, share in SHARES.items()
    }
    opened: Counter[str] = Counter()
    taken = dict.fromkeys(kinds, 0.0)
    for now_ns in range(0, 60 * SECOND_NS, 5 * MS):
        if now_ns % (200 * MS) == 0:
            whole.charge_sampling(200 * MS * sampling, now_ns)
        grant = whole.grant(now_ns, is_open=False)
        if grant is None:
            whole.claim()
        else:
            opened["lookups"] += 1
            whole.charge_window(grant.allowance_ns + MS / 2, grant.allowance_ns, closed=True)
        for name, budget in kinds.items():
            grant = budget.open(now_ns)
            if grant is not None:
                opened[name] += 1
                taken[name] += grant.allowance_ns + MS / 2
                budget.charge(taken[name], now_ns, closed=True)
    return opened


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("sampling", [0.001, 0.004, 0.006])
def test_no_kind_of_window_starves_while_samples_leave_something(
    sampling: float, seed: int
) -> None:
    opened = windows_of_a_minute(sampling, seed)
    assert min(opened[name] for name in ("lookups", *SHARES)) >= 4, opened


def test_all_others_wait_until_it_is_known_what_lookups_there_are() -> None:
    whole = governor()
    budget = WindowBudget(whole, whole.share(0.5))
    whole.learns = True
    assert whole.grant(SECOND_NS, is_open=False) is not None
    whole.claim()
    assert budget.open(SECOND_NS) is None
    whole.learns = False
    assert budget.open(SECOND_NS) is not None


def test_a_kind_has_one_window_in_the_time_that_lookups_wait_for_long() -> None:
    whole = governor()
    budget = WindowBudget(whole, whole.share(0.5))
    whole.claim()
    assert budget.open(4 * SECOND_NS) is not None
    assert budget.open(8 * SECOND_NS) is None
    assert whole.grant(8 * SECOND_NS, is_open=False) is not None
    assert budget.open(8 * SECOND_NS) is not None
    whole.claim()
    assert budget.open(9 * SECOND_NS) is not None  # they do not wait for long
    assert budget.open(12 * SECOND_NS) is None
    whole.give_up()
    assert budget.open(12 * SECOND_NS) is not None
