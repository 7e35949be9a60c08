from __future__ import annotations

import copy
import dataclasses
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from referencing import Registry, Resource

from profiler.model import difference as model
from profiler.model.difference import Difference
from profiler.model.profile import Profile
from profiler.renderers.exports.difference_json import render
from profiler.report.difference import diff
from tests import examples

DOCS = Path(__file__).parents[4] / "docs"
SCHEMA = json.loads((DOCS / "difference.schema.json").read_text())
PROFILE = json.loads((DOCS / "profile.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(
    SCHEMA,
    registry=Registry().with_resource("profile.schema.json", Resource.from_contents(PROFILE)),
)


def written(difference: Difference) -> dict[str, Any]:
    out = io.StringIO()
    render(difference, out)
    return json.loads(out.getvalue())


def changed() -> Profile:
    """The field story when all has changed: a third of the samples, one container is gone."""
    story = examples.field_story()
    return replace(
        story,
        samples=story.samples[::3],
        threads=(replace(story.threads[0], cpu_ratio=0.1), *story.threads[1:]),
        containers=story.containers[:1],
    )


@pytest.mark.parametrize("before", examples.EXAMPLES.values())
@pytest.mark.parametrize("after", examples.EXAMPLES.values())
def test_the_shipped_schema_accepts_it(before, after) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    VALIDATOR.validate(written(diff(before(), after())))


def test_changes_of_all_kinds_are_written_and_accepted() -> None:
    fields = written(diff(examples.field_story(), changed()))
    VALIDATOR.validate(fields)
    for kind in ("functions", "stacks", "threads", "containers"):
        assert fields[kind]["changed"], kind
    assert fields["threads"]["changed"][0]["names"] == ["do_monitor (chan_sip.so)"]
    assert fields["containers"]["changed"][0]["after"] is None


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the path to every member of every object."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield (*path, name)
            yield from places(inner, (*path, name))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*path, 0))


def test_the_shipped_schema_misses_every_field_that_is_gone() -> None:
    whole = written(diff(examples.field_story(), changed()))
    for *parents, name in places(whole):
        if parents[:1] == ["stacks"]:  # as functions
            continue
        fields = copy.deepcopy(whole)
        inner: Any = fields
        for parent in parents:
            inner = inner[parent]
        del inner[name]
        assert not VALIDATOR.is_valid(fields), (*parents, name)


def test_the_schema_names_the_fields_of_the_model() -> None:
    for name, value in (
        ("recorded", model.Recorded),
        ("cpu_change", model.CpuChange),
        ("cpu_changes", model.CpuChanges),
        ("container_changes", model.ContainerChanges),
        ("load", model.ContainerLoad),
    ):
        fields = {field.name for field in dataclasses.fields(value)}
        assert set(SCHEMA["$defs"][name]["properties"]) == fields
    assert set(SCHEMA["properties"]) == {field.name for field in dataclasses.fields(Difference)}
