"""Who leaks, for programs."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from profiler.model.leaks import LeaksProfile
from profiler.renderers.exports.leaks_json import render
from tests import leak_profiles as examples

SCHEMA = json.loads((Path(__file__).parents[4] / "docs" / "leaks.schema.json").read_text())


def written(profile: LeaksProfile) -> dict[str, Any]:
    out = io.StringIO()
    render(profile, out)
    (line,) = out.getvalue().splitlines()
    value: dict[str, Any] = json.loads(line)
    return value


@pytest.mark.parametrize("make", examples.EXAMPLES.values(), ids=examples.EXAMPLES)
def test_the_shipped_schema_accepts_it(make: Callable[[], LeaksProfile]) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.Draft202012Validator(SCHEMA).validate(written(make()))


def parts(kind: str) -> dict[str, Any]:
    """Return an object that the schema calls so."""
    whole = written(examples.leaking())
    suspect, container = whole["suspects"][0], whole["containers"][0]
    found: dict[str, Any] = {
        "profile": whole,
        "target": whole["target"],
        "window": whole["window"],
        "suspect": suspect,
        "type": suspect["summary"],
        "given_back": suspect["given_back_at"][0],
        "receiver": suspect["receiver"],
        "held": suspect["holds"][0],
        "container": container,
        "link_place": container["linked_at"][0],
        "element_type": container["elements"][0],
        "name_count": suspect["summary"]["names"][0],
    }
    return found[kind]


@pytest.mark.parametrize("kind", ["profile", *(name for name in SCHEMA["$defs"])])
def test_the_schema_names_each_field_and_misses_each_that_is_gone(kind: str) -> None:
    described = SCHEMA if kind == "profile" else SCHEMA["$defs"][kind]
    if kind == "system":
        return
    assert set(described["required"]) == set(described["properties"]) == set(parts(kind))
    assert described["additionalProperties"] is False
