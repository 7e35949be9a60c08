from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.model.difference import Z_CLEAR, ContainerChange, ContainerChanges, CpuChanges
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
    same = diff(profile, profile)
    assert same.is_empty()
    assert {same.functions, same.stacks, same.threads} == {CpuChanges()}
    assert same.containers == ContainerChanges()


@pytest.mark.parametrize("make", examples.EXAMPLES.values())
def test_no_example_differs_from_itself(make) -> None:
    assert diff(make(), make()).is_empty()


@given(profiles(), profiles())
def test_the_difference_the_other_way_round_is_its_negative(
    first: Profile, second: Profile
) -> None:
    forth, back = diff(first, second), diff(second, first)
    for there, here in ((forth.functions, back.functions), (forth.threads, back.threads)):
        assert {item.names: item.delta_ratio for item in there.changed} == {
            item.names: -item.delta_ratio for item in here.changed
        }
        assert there.within_error == here.within_error
    assert forth.containers is not None and back.containers is not None
    assert {(item.name, item.before, item.after) for item in forth.containers.changed} == {
        (item.name, item.after, item.before) for item in back.containers.changed
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
    before = profile_of((("main", "walk", "walk"),), [0] * 50, 10)
    after = profile_of((("main",),), [0] * 50, 10)
    (change,) = diff(before, after).functions.changed
    assert (change.names, change.before_ratio, change.after_ratio) == (("walk",), 0.5, 0.0)


def test_the_noise_of_a_change_is_that_of_its_samples() -> None:
    before = profile_of((("main",),), [0] * 90, 10)
    after = profile_of((("main",),), [0] * 9, 10)
    (change,) = diff(before, after).stacks.changed
    assert change.noise_ratio == pytest.approx(Z_CLEAR * (90 + 9) ** 0.5 / 100)


@pytest.mark.parametrize(("samples", "is_clear"), [(10, False), (11, True)])
def test_what_was_not_there_before_is_clear_from_eleven_samples_on(samples, is_clear) -> None:
    changes = diff(profile_of((), [], 10), profile_of((("new",),), [0] * samples, 10)).functions
    assert (len(changes.changed), changes.within_error) == ((1, 0) if is_clear else (0, 1))


def test_threads_are_matched_by_role_and_added_up() -> None:
    story = examples.field_story()
    twice = tuple(Thread(tid, "asterisk", "pjsip worker", 0.25, None, 0) for tid in (1, 2))
    changes = diff(
        replace(story, threads=(), total_cpu_ratio=0.0),
        replace(story, threads=twice, total_cpu_ratio=0.5),
    )
    (change,) = changes.threads.changed
    assert (change.names, change.before_ratio, change.after_ratio) == (("pjsip worker",), 0, 0.5)
    assert (changes.cpu.before_ratio, changes.cpu.after_ratio) == (0, 0.5)


@pytest.mark.parametrize(("used", "is_clear"), [(0.0202, False), (0.0284, True)])
def test_cpu_time_of_threads_is_known_to_a_tick_at_either_end(used: float, is_clear: bool) -> None:
    idle = profile_of((), [], 1)
    busy = replace(idle, threads=(Thread(1, "a", None, used, None, 0),))
    assert bool(diff(idle, busy).threads.changed) == is_clear


def changed_containers(before: Profile, after: Profile) -> tuple[ContainerChange, ...]:
    changes = diff(before, after).containers
    assert changes is not None
    return changes.changed


def test_containers_are_matched_by_name_at_any_address() -> None:
    story = examples.field_story()
    worst = story.containers[0]
    moved = replace(worst, address=0x1234)
    assert diff(story, replace(story, containers=(moved, story.containers[1]))).is_empty()
    smaller = replace(moved, elements_end=812)
    after = replace(story, containers=(smaller, story.containers[1]))
    (change,) = changed_containers(story, after)
    assert change.name == "taskprocessors (tps_cmp_cb)"
    assert change.before is not None and change.after is not None
    assert change.before.lookups_hz == 738_412 / 60
    assert change.before.duration_ratio == 52.43 / 60
    assert (change.before.elements, change.after.elements) == (55_702, 812)


def test_a_container_that_is_gone_has_no_load_after() -> None:
    story = examples.field_story()
    (change,) = changed_containers(story, replace(story, containers=story.containers[:1]))
    assert (change.name, change.after) == ("dialogs (dialog_cmp_cb)", None)
    assert change.delta_ratio == pytest.approx(-0.42 / 60)


def with_lookups(story: Profile, total: float, low: float, high: float | None) -> Profile:
    """Return the story with another number of lookups in its second container."""
    first, second = story.containers
    counts = replace(
        second.lookups,
        estimated_total=None if high is None else total,
        estimated_low=low,
        estimated_high=high,
    )
    return replace(story, containers=(first, replace(second, lookups=counts)))


@pytest.mark.parametrize(
    ("after", "is_clear"),
    [
        ((10_000, 10_000, 10_000), False),
        ((10_400, 10_400, 10_400), False),  # chance alone makes as many
        ((10_600, 10_600, 10_600), True),
        ((10_600, 10_100, 11_100), False),  # estimated, and may be fewer
        ((90_000, 90_000, None), False),  # so many at least; nobody knows how many
    ],
)
def test_lookups_changed_if_neither_error_nor_chance_explains_it(after, is_clear: bool) -> None:
    story = examples.field_story()
    before = with_lookups(story, 10_000, 10_000, 10_000)
    assert bool(changed_containers(before, with_lookups(story, *after))) == is_clear


def test_the_time_of_lookups_changed_if_their_mean_did() -> None:
    story = examples.field_story()
    first, second = story.containers
    slower = replace(second, estimated_duration_ns=second.estimated_duration_ns * 2)
    (change,) = changed_containers(story, replace(story, containers=(first, slower)))
    assert change.delta_ratio == pytest.approx(0.42 / 60)


def test_containers_are_not_compared_where_one_did_not_look_for_lookups() -> None:
    story = examples.field_story()
    cpu_only = replace(story, lookups_not_measured="--cpu-only", containers=())
    for before, after in ((story, cpu_only), (cpu_only, story), (cpu_only, cpu_only)):
        assert diff(before, after).containers is None


def test_the_largest_change_comes_first() -> None:
    story = examples.field_story()
    changes = diff(story, replace(story, samples=story.samples[::3])).functions
    sizes = [abs(change.delta_ratio) for change in changes.changed]
    assert len(sizes) > 5
    assert sizes == sorted(sizes, reverse=True)
