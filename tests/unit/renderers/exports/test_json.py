from __future__ import annotations

import dataclasses
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profiler.model import recording as r
from profiler.model.profile import Profile
from profiler.renderers.exports.json import document, render
from profiler.report.aggregate import aggregate
from tests import examples
from tests.example_times import START_NS

SCHEMA = json.loads((Path(__file__).parents[4] / "docs" / "profile.schema.json").read_text())


def written(profile: Profile) -> dict:
    out = io.StringIO()
    render(profile, out)
    return json.loads(out.getvalue())


@pytest.mark.parametrize("make", examples.EXAMPLES.values())
def test_the_shipped_schema_accepts_it(make) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.Draft202012Validator(SCHEMA).validate(written(make()))
    not_measured = replace(make(), lookups_not_measured="--cpu-only")
    jsonschema.Draft202012Validator(SCHEMA).validate(written(not_measured))


@pytest.mark.parametrize("name", SCHEMA["required"])
def test_the_shipped_schema_misses_every_field_that_is_gone(name: str) -> None:
    fields = written(examples.field_story())
    del fields[name]
    with pytest.raises(jsonschema.ValidationError, match=name):
        jsonschema.validate(fields, SCHEMA)


def crowded() -> r.Recording:
    """A day of calls: 10,000 containers that lived for one lookup, 100,000 threads that ended."""
    small = examples.recording()
    (container,), (group,) = small.containers, small.lookups
    one = r.Distribution(1, 7, 7, ((7, 8, 1),))
    once = replace(
        group,
        measured=1,
        verified=1,
        hits=1,
        misses=0,
        estimated_total=1.0,
        comparisons=one,
        duration_ns=one,
    )
    return replace(
        small,
        containers=tuple(replace(container, address=at) for at in range(10_000)),
        lookups=tuple(replace(once, container=at) for at in range(10_000)),
        lookup_stacks=tuple(r.LookupStack(0, at, 1.0, 7.0) for at in range(10_000)),
        threads=tuple(r.ThreadUse(tid, "asterisk", 900, 10, True, (0,)) for tid in range(100_000)),
        samples=tuple(r.Sample(START_NS + tid, tid, 0) for tid in range(0, 100_000, 99)),
    )


def test_a_day_of_calls_stays_below_five_megabytes_and_all_of_it_counts() -> None:
    profile = aggregate(crowded())
    fields = written(profile)
    jsonschema.validate(fields, SCHEMA)
    assert len(json.dumps(fields, indent=1)) < 5_000_000
    assert [one["count"] for one in fields["threads"]] == [100_000]
    assert [(one["count"], one["samples"]) for one in fields["thread_groups"]] == [(100_000, 1_011)]
    assert [one["count"] for one in fields["containers"]] == [10_000]
    assert fields["containers"][0]["lookups"]["measured"] == 10_000
    assert fields["containers"][0]["comparisons"]["total"] == 70_000
    assert fields["threads"][0]["cpu_ratio"] == pytest.approx(0.09)


def with_finite_numbers(value: Any) -> Any:
    """Return the value with numbers as recordings hold them."""
    if isinstance(value, float):
        return value if abs(value) <= 1e30 else 0.0
    if isinstance(value, tuple):
        return tuple(map(with_finite_numbers, value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        made = {
            f.name: with_finite_numbers(getattr(value, f.name)) for f in dataclasses.fields(value)
        }
        return replace(value, **made)
    return value


@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@given(st.from_type(Profile))
def test_every_field_of_a_profile_is_written_or_elsewhere(profile: Profile) -> None:
    profile = with_finite_numbers(profile)
    left_out = {"samples", "sample_accounting", "lookup_accounting", "stack_quality"}
    left_out |= {"lookup_stack_quality"}
    names = {field.name for field in dataclasses.fields(Profile)} - left_out
    assert set(document(profile)) == names | {"accounting", "without_findings"}


def test_containers_have_the_labels_that_reports_use() -> None:
    (first, second) = examples.field_story().containers
    same = replace(second, name=first.name, told_apart_by="used by chan_sip.c:7 find")
    fields = written(replace(examples.field_story(), containers=(first, same)))
    assert [one["label"] for one in fields["containers"]] == [
        "taskprocessors (tps_cmp_cb)",
        "taskprocessors (tps_cmp_cb), used by chan_sip.c:7 find",
    ]
