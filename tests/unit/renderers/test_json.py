from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profiler.model.profile import Profile
from profiler.renderers.json import document, render
from tests import examples

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "profile.schema.json").read_text())
QUANTILES = {"p50", "p90", "p99", "max", "mean", "histogram"}
PARTS = {"fired", "kept", "filtered", "lost", "collided", "truncated"}
# The contract: field names that other programs rely on. A dict holds the fields of an object or of
# each object in a list, a set holds names.
CONTRACT = {
    "schema": None,
    "target": {"pid", "exe", "build_id", "version"},
    "window": {"start_ns", "end_ns", "duration_s"},
    "cost": {"budget_ratio", "measured_ratio"},
    "accounting": {"samples": PARTS, "lookups": PARTS},
    "stacks": {"samples", "whole", "by_cause"},
    "threads": {"tid", "name", "role", "cpu_ratio", "samples"},
    "sockets": {"local", "receive_queue_bytes_max", "drops"},
    "containers": {
        **dict.fromkeys(("address", "kind", "name", "buckets", "elements_start", "elements_end")),
        "chain": {"mean", "p99", "max"},
        "lookups": {
            *("measured", "verified", "estimated_total", "estimated_low"),
            *("estimated_high", "hit_ratio"),
        },
        "comparisons": QUANTILES,
        "sort_calls": QUANTILES,
        "duration_ns": QUANTILES,
        "call_sites": {
            **dict.fromkeys(("file", "line", "function", "measured")),
            "comparisons": QUANTILES,
            "duration_ns": QUANTILES,
        },
    },
    "findings": {"id", "rank", "title", "evidence", "cpu_ratio", "advice"},
}


def written(profile: Profile) -> dict:
    out = io.StringIO()
    render(profile, out)
    return json.loads(out.getvalue())


def check_contract(value: Any, contract: object) -> None:
    if isinstance(value, list):
        for item in value:
            check_contract(item, contract)
    elif isinstance(contract, (dict, set)):
        assert set(contract) <= set(value)
        if isinstance(contract, dict):
            for name, inner in contract.items():
                check_contract(value[name], inner)


@pytest.mark.parametrize("make", examples.EXAMPLES.values())
def test_the_contract_holds(make) -> None:
    check_contract(written(make()), CONTRACT)


@pytest.mark.parametrize("make", examples.EXAMPLES.values())
def test_the_shipped_schema_accepts_it(make) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.Draft202012Validator(SCHEMA).validate(written(make()))


@pytest.mark.parametrize("name", SCHEMA["required"])
def test_the_shipped_schema_misses_every_field_that_is_gone(name: str) -> None:
    fields = written(examples.field_story())
    del fields[name]
    with pytest.raises(jsonschema.ValidationError, match=name):
        jsonschema.validate(fields, SCHEMA)


def test_values_are_those_of_the_profile() -> None:
    story = examples.field_story()
    fields = written(story)
    assert fields["window"]["duration_s"] == 60.0
    assert fields["accounting"]["samples"] == dataclasses.asdict(story.sample_accounting)
    assert fields["stacks"] == {"samples": 5_935, "whole": 5_935, "by_cause": {}}
    assert fields["lookup_stacks"]["by_cause"] == {"unreadable stack": 1}
    worst = fields["containers"][0]
    assert worst["elements_start"] == 55_585
    assert worst["comparisons"]["histogram"][0] == [0, 1, 311]
    assert worst["call_sites"][0]["line"] == 776
    assert fields["target"]["version"] == "16.28.0"


@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@given(st.from_type(Profile))
def test_every_field_of_a_profile_is_written_or_elsewhere(profile: Profile) -> None:
    left_out = {"samples", "sample_accounting", "lookup_accounting", "stack_quality"}
    left_out |= {"lookup_stack_quality"}
    names = {field.name for field in dataclasses.fields(Profile)} - left_out
    assert set(document(profile)) == names | {"accounting"}
