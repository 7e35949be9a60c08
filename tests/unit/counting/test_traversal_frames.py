"""When lookups' traversals can be recognised by their frames, and when not."""

from __future__ import annotations

import struct
from types import SimpleNamespace
from typing import Any

import pytest

from profiler.counting.traversal_frames import TraversalFrames
from profiler.wire.lookups import Place, Verdict

FIND, UNLINK = frozenset({Place.FIND}), frozenset({Place.FIND, Place.UNLINK})
NONE = (0,) * len(Verdict)


class TraversalFrameMap:
    """What the programs learnt: (agreed, differed) by entry function."""

    def __init__(self) -> None:
        self.learnt: dict[int, tuple[int, int]] = {}

    def get(self, key: bytes) -> bytes:
        (entry,) = struct.unpack("<I", key)
        return struct.pack("<4Q", 296, 296, *self.learnt.get(entry, (0, 0)))


@pytest.fixture
def known() -> TraversalFrameMap:
    return TraversalFrameMap()


@pytest.fixture
def frames(known: TraversalFrameMap) -> TraversalFrames:
    module: Any = SimpleNamespace(map=lambda name: {"traversal_frames": known}[name])
    return TraversalFrames(module, is_possible=True)


def verdicts(**counts: int) -> tuple[int, ...]:
    return tuple(counts.get(verdict.name, 0) for verdict in Verdict)


def test_nothing_is_known_before_a_lookup_was_seen(frames: TraversalFrames) -> None:
    assert not frames.are_known and not frames.suffice_in(0)
    frames.learn(frozenset(), NONE, is_predicted=False)
    assert not frames.are_known


def test_one_traversal_is_enough(frames: TraversalFrames, known: TraversalFrameMap) -> None:
    known.learnt[Place.FIND] = (1, 0)
    frames.learn(FIND, verdicts(VERIFIED=1), is_predicted=False)
    assert frames.are_known


def test_the_probe_is_left_out_once_there_are_many_lookups(
    frames: TraversalFrames, known: TraversalFrameMap
) -> None:
    known.learnt[Place.FIND] = (1, 0)
    frames.learn(FIND, verdicts(VERIFIED=98, UNVERIFIED_LAYOUT=1), is_predicted=False)
    assert not frames.suffice_in(0)
    frames.learn(FIND, verdicts(VERIFIED=99, UNVERIFIED_LAYOUT=1), is_predicted=False)
    assert [window for window in range(64) if not frames.suffice_in(window)] == [15, 31, 47, 63]


def test_each_entry_function_has_its_own(frames: TraversalFrames, known: TraversalFrameMap) -> None:
    known.learnt[Place.FIND] = (5, 0)
    frames.learn(FIND, verdicts(VERIFIED=5), is_predicted=False)
    frames.learn(UNLINK, verdicts(VERIFIED=6), is_predicted=True)
    assert not frames.are_known  # a window with all probes comes first
    known.learnt[Place.UNLINK] = (1, 0)
    frames.learn(UNLINK, verdicts(VERIFIED=7), is_predicted=False)
    assert frames.are_known


def test_frames_that_differ_are_not_known(
    frames: TraversalFrames, known: TraversalFrameMap
) -> None:
    known.learnt[Place.FIND] = (100, 1)
    frames.learn(FIND, verdicts(VERIFIED=101), is_predicted=False)
    assert not frames.are_known


def test_builds_in_which_it_cannot_be() -> None:
    frames = TraversalFrames(SimpleNamespace(), is_possible=False)  # type: ignore[arg-type]
    frames.learn(FIND, verdicts(VERIFIED=10), is_predicted=False)
    assert not frames.are_known


@pytest.mark.parametrize("doubt", ["UNVERIFIED_START", "UNVERIFIED_CHANGE"])
def test_the_probe_comes_back_for_good_where_counts_cannot_be_verified(
    frames: TraversalFrames, known: TraversalFrameMap, doubt: str
) -> None:
    known.learnt[Place.FIND] = (5, 0)
    frames.learn(FIND, verdicts(VERIFIED=5, **{doubt: 500}), is_predicted=False)
    assert frames.are_known  # that was not for want of the probe
    frames.learn(FIND, verdicts(VERIFIED=1_000, **{doubt: 508}), is_predicted=True)
    assert frames.are_known  # eight say nothing yet
    frames.learn(FIND, verdicts(VERIFIED=1_200, **{doubt: 515}), is_predicted=True)
    assert not frames.are_known
    frames.learn(FIND, verdicts(VERIFIED=9_000, **{doubt: 515}), is_predicted=False)
    assert not frames.are_known


def test_one_in_a_hundred_is_borne(frames: TraversalFrames, known: TraversalFrameMap) -> None:
    known.learnt[Place.FIND] = (5, 0)
    frames.learn(FIND, verdicts(VERIFIED=5), is_predicted=False)
    frames.learn(FIND, verdicts(VERIFIED=9_905, UNVERIFIED_CHANGE=100), is_predicted=True)
    assert frames.are_known
