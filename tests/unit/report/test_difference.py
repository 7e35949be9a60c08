from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.model.difference import ContainerLoad, CpuChange, Difference
from profiler.model.profile import NamedStack, Profile, Thread
from profiler.model.recording import Sample, Window
from profiler.report.difference import diff
from tests import examples

SECOND_NS = 1_000_000_000


@st.composite
def profiles(draw) -> Profile:
    """Valid profiles: other stacks, samples, threads and containers of the field story."""
    story = examples.field_story()
    names = st.sampled_from(("main", "work", "~read", "lib+0x10"))
    frames = st.lists(names, max_size=4).map(tuple)
    stacks = tuple(
        NamedStack(item, 0, None) for item in draw(st.lists(frames, min_size=1, max_size=4))
    )
    rows = st.builds(Sample, st.just(0), st.integers(1, 3), st.integers(0, len(stacks) - 1))
    threads = st.builds(
        Thread, st.integers(1, 9), names, st.none() | names, st.floats(0, 8), st.none(), st.just(0)
    )
    return replace(
        story,
        window=Window(0, draw(st.integers(1, 60)) * SECOND_NS),
        frequency_hz=draw(st.floats(0.001, 1e6)),
        stacks=stacks,
        samples=draw(st.lists(rows, max_size=20).map(tuple)),
        lookup_stacks=(),
        threads=draw(st.lists(threads, max_size=4).map(tuple)),
        containers=draw(st.lists(st.sampled_from(story.containers), max_size=3).map(tuple)),
    )


@given(profiles())
def test_the_difference_of_a_profile_with_itself_is_empty(profile: Profile) -> None:
    assert diff(profile, profile) == Difference((), (), (), ())
    assert diff(profile, profile).is_empty()


@pytest.mark.parametrize("make", examples.EXAMPLES.values())
def test_no_example_differs_from_itself(make) -> None:
    assert diff(make(), make()).is_empty()


@given(profiles(), profiles())
def test_the_difference_the_other_way_round_is_its_negative(
    first: Profile, second: Profile
) -> None:
    forth, back = diff(first, second), diff(second, first)
    for there, here in ((forth.functions, back.functions), (forth.threads, back.threads)):
        assert {item.names: item.delta_ratio for item in there} == {
            item.names: -item.delta_ratio for item in here
        }
    assert {(item.name, item.before, item.after) for item in forth.containers} == {
        (item.name, item.after, item.before) for item in back.containers
    }


def profile_of(stacks: tuple[tuple[str, ...], ...], samples: list[int], seconds: int) -> Profile:
    """Build a profile of samples at 10 Hz, given as indices into stacks."""
    return replace(
        examples.empty(),
        frequency_hz=10.0,
        window=Window(0, seconds * SECOND_NS),
        stacks=tuple(NamedStack(frames, 0, None) for frames in stacks),
        samples=tuple(Sample(0, 1, index) for index in samples),
    )


def test_windows_of_different_length_are_comparable() -> None:
    short = profile_of((("main",),), [0] * 5, 1)
    assert diff(short, profile_of((("main",),), [0] * 50, 10)).is_empty()


def test_a_function_counts_once_in_a_sample_however_deep_it_recurs() -> None:
    before = profile_of((("main", "walk", "walk"),), [0] * 5, 1)
    after = profile_of((("main",),), [0] * 5, 1)
    (change,) = diff(before, after).functions
    assert (change.names, change.before_ratio, change.after_ratio) == (("walk",), 0.5, 0.0)


def test_the_noise_of_a_change_is_that_of_its_samples() -> None:
    before = profile_of((("main",),), [0] * 16, 10)
    after = profile_of((("main",),), [0] * 9, 10)
    (change,) = diff(before, after).stacks
    assert change.noise_ratio == pytest.approx(1.96 * (16 + 9) ** 0.5 / 100)


def test_threads_are_matched_by_role_and_added_up() -> None:
    story = examples.field_story()
    twice = tuple(Thread(tid, "asterisk", "pjsip worker", 0.25, None, 0) for tid in (1, 2))
    change = diff(replace(story, threads=()), replace(story, threads=twice)).threads
    assert change == (CpuChange(("pjsip worker",), 0.0, 0.5, None),)


def test_containers_are_matched_by_name_at_any_address() -> None:
    story = examples.field_story()
    worst = story.containers[0]
    moved = replace(worst, address=0x1234)
    assert diff(story, replace(story, containers=(moved, story.containers[1]))).is_empty()
    smaller = replace(moved, elements_end=812)
    (change,) = diff(story, replace(story, containers=(smaller, story.containers[1]))).containers
    assert change.name == "taskprocessors (tps_cmp_cb)"
    assert change.before == ContainerLoad(738_412 / 60, 52.43 / 60, 55_702)
    assert change.after is not None and change.after.elements == 812


def test_a_container_that_is_gone_has_no_load_after() -> None:
    story = examples.field_story()
    (change,) = diff(story, replace(story, containers=story.containers[:1])).containers
    assert (change.name, change.after) == ("dialogs (dialog_cmp_cb)", None)
    assert change.delta_ratio == pytest.approx(-0.42 / 60)


def test_the_largest_change_comes_first() -> None:
    story = examples.field_story()
    changes = diff(story, replace(story, samples=story.samples[::3])).functions
    sizes = [abs(change.delta_ratio) for change in changes]
    assert sizes == sorted(sizes, reverse=True)
