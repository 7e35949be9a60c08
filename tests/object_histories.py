"""Histories of objects, written by hand."""

from __future__ import annotations

from collections.abc import Iterable

from profiler.model.leaks import Change, ChangeKind, Fate, FollowedObject
from profiler.model.recording import CallSite
from profiler.report.references.accounts import Account
from profiler.report.references.histories import History, history_of
from profiler.report.references.holdings import Use, uses_of
from profiler.report.references.places import Places

SECOND = 1_000_000_000
SITES = (
    CallSite("a.c", 1, "take"),
    CallSite("a.c", 2, "give"),
    CallSite("a.c", 3, "other_take"),
    CallSite("a.c", 4, "other_give"),
    CallSite("a.c", 5, "both"),
    CallSite("a.c", 6, "both"),
    CallSite("astobj2_hash.c", 7, "hash_ao2_node_destructor"),
    CallSite("a.c", 8, "let_go"),
)
PLACES = Places(SITES, {})
TAKE, GIVE, OTHER_TAKE, OTHER_GIVE, BOTH_TAKE, BOTH_GIVE, NODE, LET_GO = range(len(SITES))


def changed(time_s: float, delta: int, site: int, stack: int | None = None) -> Change:
    time_ns = round(time_s * SECOND)
    return Change(time_ns, ChangeKind.REFERENCE, delta, None, site, stack, 7)


def moved(time_s: float, kind: ChangeKind, site: int, container: int = 0x50) -> Change:
    return Change(round(time_s * SECOND), kind, 0, None, site, None, 7, container)


def gap(time_s: float, delta: int) -> Change:
    return Change(round(time_s * SECOND), ChangeKind.GAP, delta, None, None, None, 0)


def followed(
    *changes: Change, ended_s: float = 100, kind: int = 0, born_s: float = 0, lost: int = 0
) -> FollowedObject:
    """Return an object that is freed if all its references are given back."""
    balance = 1 + sum(change.delta for change in changes)
    return FollowedObject(
        type=kind,
        address=0x1000,
        born_ns=round(born_s * SECOND),
        tid=7,
        stack=None,
        fate=Fate.ALIVE if balance else Fate.FREED,
        ended_ns=round(ended_s * SECOND),
        is_end_exact=not balance,
        references=balance or None,
        lost_changes=lost,
        history=changes,
    )


def history(*changes: Change, **options: float) -> History:
    return history_of(followed(*changes, **options), SITES)  # type: ignore[arg-type]


def use_of(account: Account, histories: Iterable[History]) -> Use:
    """Return what became of one account."""
    [use] = uses_of((account,), histories)
    return use
