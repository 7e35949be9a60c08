"""What windows of one kind are granted and charged."""

from __future__ import annotations

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
