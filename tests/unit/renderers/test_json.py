from __future__ import annotations

import dataclasses
import io
import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profiler.model.profile import Profile
from profiler.renderers.json import document, render
from tests import examples

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "profile.schema.json").read_text())


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


@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@given(st.from_type(Profile))
def test_every_field_of_a_profile_is_written_or_elsewhere(profile: Profile) -> None:
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
