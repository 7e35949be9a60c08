from __future__ import annotations

from profiler.model.links import Links, LinkStack, LinkUse
from profiler.model.quantities import Accounting
from profiler.model.recording import Stack, Window
from profiler.report.link_uses import CALLERS_MAX, link_profile

NAMES = tuple(f"f{number}" for number in range(20))
DEEP = tuple(range(CALLERS_MAX))
STACKS = (
    Stack((0, 1), 0, None),
    Stack((*DEEP, 10), 0, None),
    Stack((*DEEP, 11), 0, None),
    Stack((), 0, None),
)


def links(*stacks: LinkStack, covered_ns: int = 25) -> Links:
    return Links(stacks, covered_ns, Accounting(fired=9, kept=9))


def test_links_have_the_names_of_those_that_called() -> None:
    profile = link_profile(links(LinkStack(4, 0, 9)), Window(0, 100), STACKS, NAMES, {4: 1})
    assert profile.uses == (LinkUse(1, ("f0", "f1"), 9),)
    assert (profile.covered_ratio, profile.accounting.fired) == (0.25, 9)


def test_stacks_that_differ_far_from_the_link_are_one() -> None:
    both = links(LinkStack(4, 0, 9), LinkStack(4, 1, 6), LinkStack(4, 2, 5))
    deep, other = link_profile(both, Window(0, 100), STACKS, NAMES, {4: 1}).uses
    assert (deep.callers, deep.links) == (NAMES[:CALLERS_MAX], 11)
    assert other.links == 9


def test_what_has_no_container_in_the_profile_or_no_frames_is_left_out() -> None:
    lost = links(LinkStack(5, 0, 9), LinkStack(4, 3, 6))
    assert link_profile(lost, Window(0, 100), STACKS, NAMES, {4: 1}).uses == ()


def test_no_more_than_all_of_the_window_is_covered() -> None:
    assert link_profile(links(covered_ns=500), Window(0, 100), (), (), {}).covered_ratio == 1
