"""Containers that grow: who links, and what the elements are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.model.leaks import (
    Change,
    ChangeKind,
    ElementType,
    Fate,
    FollowedObject,
    GrowingContainer,
    LeaksRecording,
    LinkCount,
    LinkPlace,
    Suspect,
)
from profiler.model.recording import CallSite, Frame, Stack
from profiler.report.leaks.growing_containers import growing_containers
from profiler.report.leaks.leak_names import Names
from tests.leak_examples import ALIVE, RECORDING
from tests.leak_profiles import LEAKING, PEERS

SECOND = 1_000_000_000
HERE, ELSEWHERE = 0x9000, 0x9100
FRAMES = ("destroy", "~new_node", "__ao2_link", "~adds", "~main")
NAMES = Names(FRAMES, ("one.c:11 make", "two.c:22 adds"), ("~destroy",), {})
LINK = Change(15, ChangeKind.LINK, 0, 1, 1, None, 7, HERE)
TAKEN = Change(16, ChangeKind.REFERENCE, 1, 1, 1, 0, 7)
UNLINK = replace(LINK, time_ns=20, kind=ChangeKind.UNLINK)
ADDED = replace(ALIVE, history=(LINK, TAKEN))


def recorded(*objects: FollowedObject, seconds: int = 60, hz: int = 2) -> LeaksRecording:
    """Return a recording in which the container grows evenly."""
    [container] = RECORDING.containers
    sizes = tuple((second * SECOND, 5 + hz * second) for second in range(seconds + 1))
    return replace(
        RECORDING,
        frames=tuple(Frame(0x500 + at, 0, at, at, name, "x") for at, name in enumerate(FRAMES)),
        stacks=(Stack((1, 2, 3, 4), 0, None),),
        sites=(CallSite("one.c", 11, "make"), CallSite("two.c", 22, "adds")),
        objects=objects,
        containers=(replace(container, elements=sizes),),
        links=(
            LinkCount(ChangeKind.LINK, HERE, 1, 3),
            LinkCount(ChangeKind.LINK, HERE, 0, 2),
            LinkCount(ChangeKind.LINK, HERE, 0, 4),
            LinkCount(ChangeKind.UNLINK, HERE, 1, 1),
            LinkCount(ChangeKind.LINK, ELSEWHERE, 1, 99),
        ),
    )


def found(recording: LeaksRecording, *suspects: Suspect) -> GrowingContainer:
    [container] = growing_containers(recording, NAMES, suspects)
    return container


def test_what_does_not_grow_to_the_end_is_left_out() -> None:
    assert growing_containers(recorded(hz=0), NAMES, ()) == ()
    assert growing_containers(recorded(seconds=20), NAMES, ()) == ()
    [container] = recorded().containers
    few = replace(container, elements=((0, 0), (30 * SECOND, 4), (60 * SECOND, 9)))
    assert growing_containers(replace(recorded(), containers=(few,)), NAMES, ()) == ()


def test_it_is_known_how_fast_it_grows() -> None:
    container = found(recorded())
    assert container.name == "destroy"
    assert (container.elements_start, container.elements_end) == (5, 125)
    assert container.per_minute == 120


def test_the_fastest_comes_first() -> None:
    known = recorded()
    [slow] = known.containers
    fast = replace(slow, address=1, elements=tuple((at, 9 * n) for at, n in slow.elements))
    both = growing_containers(replace(known, containers=(slow, fast)), NAMES, ())
    assert [one.per_minute for one in both] == [1_080, 120]


def test_places_are_counted_most_often_first() -> None:
    container = found(recorded())
    assert container.linked_at == (LinkPlace("one.c:11 make", 6), LinkPlace("two.c:22 adds", 3))
    assert container.unlinked_at == (LinkPlace("two.c:22 adds", 1),)


def test_the_stack_is_that_of_the_reference_that_the_container_takes() -> None:
    assert found(recorded(ADDED)).stack == ("~adds", "~main")
    by_another = replace(ADDED, history=(LINK, replace(TAKEN, tid=8)))
    into_another = replace(ADDED, history=(LINK, replace(LINK, container=ELSEWHERE), TAKEN))
    not_unwound = replace(ADDED, history=(LINK, replace(TAKEN, stack=None), TAKEN))
    for one in (by_another, into_another, not_unwound):
        assert found(recorded(one)).stack == ()


@pytest.mark.parametrize(
    ("element", "counts"),
    [
        (ADDED, (1, 1, 0, 0)),
        (replace(ADDED, fate=Fate.FREED), (1, 0, 1, 0)),
        (replace(ADDED, fate=Fate.LOST), (1, 0, 0, 1)),
        (replace(ADDED, history=(LINK, UNLINK)), (1, 0, 1, 0)),
        (replace(ADDED, history=(LINK, UNLINK, LINK)), (1, 1, 0, 0)),
        (replace(ADDED, history=(replace(LINK, container=ELSEWHERE),)), (0, 0, 0, 0)),
        (ALIVE, (0, 0, 0, 0)),
    ],
)
def test_every_element_that_was_followed_is_kept_left_or_unknown(
    element: FollowedObject, counts: tuple[int, ...]
) -> None:
    one = found(recorded(element))
    assert (one.linked, one.kept, one.left, one.unknown) == counts


def test_its_elements_are_those_of_a_suspect() -> None:
    known = recorded(ADDED, ADDED, replace(ADDED, fate=Fate.FREED))
    summary = replace(PEERS, name="~destroy", allocated_at="one.c:11 make")
    root = replace(LEAKING, summary=summary)
    assert found(known).elements == (ElementType("~destroy", 2, None),)
    assert found(known, root).elements == (ElementType("~destroy", 2, "~destroy"),)
    held = replace(root, held_by="~sip_destroy_peer")
    assert found(known, held).elements == (ElementType("~destroy", 2, "~sip_destroy_peer"),)
    other = replace(root, summary=replace(summary, allocated_at="other.c:1 f"))
    assert found(known, other).elements == (ElementType("~destroy", 2, None),)
