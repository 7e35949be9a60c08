from __future__ import annotations

import io
import json
import math
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.model.profile import NamedStack, Profile
from profiler.model.recording import Sample, Window
from profiler.renderers.exports import speedscope
from tests import examples

UNITS = {"none", "nanoseconds", "microseconds", "milliseconds", "seconds", "bytes"}


def written(profile: Profile) -> dict:
    out = io.StringIO()
    speedscope.render(profile, out)
    return json.loads(out.getvalue())


def check_importer_rules(document: dict) -> None:
    """Check what speedscope's importer expects beyond what its schema can say."""
    assert document["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    frames = document["shared"]["frames"]
    assert len({(frame["name"], frame.get("file")) for frame in frames}) == len(frames)
    assert 0 <= document["activeProfileIndex"] < len(document["profiles"])
    for profile in document["profiles"]:
        assert profile["unit"] in UNITS
        assert len(profile["samples"]) == len(profile["weights"])
        assert all(weight > 0 and math.isfinite(weight) for weight in profile["weights"])
        assert profile["endValue"] - profile["startValue"] == sum(profile["weights"])
        for stack in profile["samples"]:
            assert all(0 <= index < len(frames) for index in stack)


@pytest.mark.parametrize("make", examples.EXAMPLES.values())
def test_the_importer_rules_hold(make) -> None:
    check_importer_rules(written(make()))


def test_all_threads_come_first_then_each_then_comparisons_then_waits() -> None:
    document = written(examples.field_story())
    assert document["exporter"] == "ebpf-prof@0.1.0"
    assert document["name"] == "asterisk 16.28.0 (pid 4711)"
    assert document["activeProfileIndex"] == 0
    assert [(item["name"], item["unit"], used_ns(item)) for item in document["profiles"]] == [
        ("all threads", "nanoseconds", 5_935 * 10_101_010),
        ("do_monitor (chan_sip.so) (4733)", "nanoseconds", 5_814 * 10_101_010),
        ("main (4711)", "nanoseconds", 91 * 10_101_010),
        ("asterisk (4720)", "nanoseconds", 30 * 10_101_010),
        ("comparisons in lookups", "none", 175_209_649),
        ("off-CPU", "microseconds", 14_524_000),
        ("off-CPU: waits for work", "microseconds", 58_400_084),
    ]


def used_ns(profile: dict) -> int:
    """Return the sum of weights without the gaps."""
    pairs = zip(profile["samples"], profile["weights"], strict=True)
    return sum(weight for stack, weight in pairs if stack)


MS_NS = 1_000_000
STACKS = (NamedStack(("main", "first"), 0, None), NamedStack(("main", "second"), 1, "deep"))


def timed(*samples: tuple[float, int, int], duration_ms: int = 100) -> dict[str, list]:
    """Return [frames, ms] of each profile, for samples (ms, tid, stack) at 100 Hz."""
    profile = replace(
        examples.empty(),
        frequency_hz=100.0,
        window=Window(1_000 * MS_NS, (1_000 + duration_ms) * MS_NS),
        stacks=STACKS,
        samples=tuple(
            Sample(1_000 * MS_NS + round(at * MS_NS), tid, stack) for at, tid, stack in samples
        ),
    )
    document = written(profile)
    check_importer_rules(document)
    names = [frame["name"] for frame in document["shared"]["frames"]]
    return {
        item["name"]: [
            ["/".join(names[index] for index in stack), weight / MS_NS]
            for stack, weight in zip(item["samples"], item["weights"], strict=True)
        ]
        for item in document["profiles"]
    }


def test_a_sample_weighs_the_interval_that_ended_with_it_and_the_rest_is_a_gap() -> None:
    assert timed((10, 7, 0), (20, 7, 0), (60, 7, 0))["thread (7)"] == [
        ["main/first", 20.0],
        ["", 30.0],
        ["main/first", 10.0],
        ["", 40.0],
    ]


def test_all_threads_have_a_gap_only_where_none_of_them_ran() -> None:
    assert timed((10, 7, 0), (30, 8, 0), (40, 7, 0), duration_ms=50)["all threads"] == [
        ["thread (7)/main/first", 10.0],
        ["", 10.0],
        ["thread (8)/main/first", 10.0],
        ["thread (7)/main/first", 10.0],
        ["", 10.0],
    ]


def test_threads_that_run_at_once_follow_each_other() -> None:
    both = [(10 + 10 * at, tid, 0) for at in range(2) for tid in (7, 8)]
    shown = timed(*both, duration_ms=40)
    assert shown["all threads"][-1] == ["", 20.0]
    assert sum(weight for stack, weight in shown["all threads"] if stack) == 40.0
    assert shown["thread (7)"] == [["main/first", 20.0], ["", 20.0]]


def test_a_timer_that_is_late_makes_no_gap_until_an_interval_is_missing() -> None:
    late = [(at * 10.5, 7, 0) for at in range(1, 25)]
    shown = timed(*late, duration_ms=252)["thread (7)"]
    assert [weight for stack, weight in shown if not stack] == [10.0]
    assert sum(weight for _, weight in shown) == 250.0


def test_a_thread_that_moves_between_timers_is_not_idle() -> None:
    moving = [(at, 7, 0) for at in (10, 16, 30, 38, 50)]
    assert timed(*moving, duration_ms=50)["thread (7)"] == [["main/first", 50.0]]


def test_samples_are_in_time_order_and_stacks_root_first() -> None:
    samples = (Sample(20, 7, 1), Sample(10, 7, 0))
    document = written(replace(examples.empty(), stacks=STACKS, samples=samples))
    frames = document["shared"]["frames"]
    everything, one = (
        [[frames[index] for index in stack] for stack in item["samples"] if stack]
        for item in document["profiles"]
    )
    assert one == [
        [{"name": "main"}, {"name": "first"}],
        [
            {"name": "[stack truncated: deep]"},
            {"name": "main"},
            {"name": "second", "file": "[kernel]"},
        ],
    ]
    assert everything == [[{"name": "thread (7)"}, *stack] for stack in one]


def test_a_profile_without_samples_still_holds_one_profile() -> None:
    profiles = written(examples.empty())["profiles"]
    assert [(item["name"], item["samples"]) for item in profiles] == [("no sample was taken", [])]


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(1, 5), st.integers(0, 2))))
def test_every_sample_is_in_the_profile_of_its_thread(rows: list[tuple[int, int, int]]) -> None:
    stacks = tuple(NamedStack(("main",) * (depth + 1), 0, None) for depth in range(3))
    samples = tuple(Sample(*row) for row in rows)
    document = written(replace(examples.empty(), frequency_hz=1e8, stacks=stacks, samples=samples))
    check_importer_rules(document)
    counts = Counter(f"thread ({tid})" for _, tid, _ in rows)
    wanted = {"all threads": len(rows), **counts} if rows else {"no sample was taken": 0}
    assert {item["name"]: used_ns(item) / 10 for item in document["profiles"]} == wanted
