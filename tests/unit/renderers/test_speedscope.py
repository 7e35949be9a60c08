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
from profiler.model.recording import Sample
from profiler.renderers import speedscope
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


def test_every_thread_is_a_profile_and_comparisons_are_the_last() -> None:
    document = written(examples.field_story())
    assert document["exporter"] == "ebpf-prof@0.1.0"
    assert document["name"] == "asterisk 16.28.0 (pid 4711)"
    assert [
        (item["name"], item["unit"], len(item["samples"])) for item in document["profiles"]
    ] == [
        ("do_monitor (chan_sip.so) (4733)", "nanoseconds", 5_814),
        ("main (4711)", "nanoseconds", 91),
        ("asterisk (4720)", "nanoseconds", 30),
        ("comparisons in lookups", "none", 3),
    ]


def test_a_sample_weighs_its_interval() -> None:
    document = written(examples.field_story())
    assert set(document["profiles"][0]["weights"]) == {10_101_010}
    assert document["profiles"][0]["endValue"] == 5_814 * 10_101_010


def test_samples_are_in_time_order_and_stacks_root_first() -> None:
    stacks = (NamedStack(("main", "first"), 0, None), NamedStack(("main", "second"), 1, "deep"))
    samples = (Sample(20, 7, 1), Sample(10, 7, 0))
    document = written(replace(examples.empty(), stacks=stacks, samples=samples))
    frames = document["shared"]["frames"]
    shown = [[frames[index] for index in stack] for stack in document["profiles"][0]["samples"]]
    assert shown == [
        [{"name": "main"}, {"name": "first"}],
        [
            {"name": "[stack truncated: deep]"},
            {"name": "main"},
            {"name": "second", "file": "[kernel]"},
        ],
    ]


def test_a_profile_without_samples_still_holds_one_profile() -> None:
    profiles = written(examples.empty())["profiles"]
    assert [(item["name"], item["samples"]) for item in profiles] == [("no sample was taken", [])]


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(1, 5), st.integers(0, 2))))
def test_every_sample_is_in_the_profile_of_its_thread(rows: list[tuple[int, int, int]]) -> None:
    stacks = tuple(NamedStack(("main",) * depth, 0, None) for depth in range(3))
    samples = tuple(Sample(*row) for row in rows)
    document = written(replace(examples.empty(), stacks=stacks, samples=samples))
    check_importer_rules(document)
    counts = Counter(f"thread ({tid})" for _, tid, _ in rows)
    found = {item["name"]: len(item["samples"]) for item in document["profiles"]}
    assert found == (counts or {"no sample was taken": 0})
