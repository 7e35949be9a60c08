"""Who waits for whom, for programs."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from profiler.model.wait_picture import WaitPicture
from profiler.renderers.exports.waits_json import render
from tests import wait_examples as examples

SCHEMA = json.loads((Path(__file__).parents[4] / "docs" / "waits.schema.json").read_text())


def written(picture: WaitPicture) -> dict[str, Any]:
    out = io.StringIO()
    render(picture, out)
    (line,) = out.getvalue().splitlines()
    value: dict[str, Any] = json.loads(line)
    return value


@pytest.mark.parametrize("make", examples.EXAMPLES.values(), ids=examples.EXAMPLES)
def test_the_shipped_schema_accepts_it(make: Callable[[], WaitPicture]) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.Draft202012Validator(SCHEMA).validate(written(make()))


def parts(kind: str) -> list[Any]:
    """Return the objects of a written deadlock that the schema calls so."""
    whole = written(examples.deadlock())
    locks = whole["locks"]
    return {
        "picture": [whole],
        "deadlock": whole["deadlocks"],
        "chain": written(examples.chain())["chains"],
        "queue": whole["deadlocks"][0]["behind"],
        "wait": whole["waits"],
        "thread": whole["threads"],
        "frame": [frame for thread in whole["threads"] for frame in thread["frames"]],
        "held": [held for thread in whole["threads"] for held in thread["holds"]],
        "lock": locks,
        "object": [lock["object"] for lock in locks if lock["object"]],
        "finding": whole["findings"],
        "subject": [finding["subject"] for finding in whole["findings"]],
        "target": [whole["target"]],
        "system": [written(examples.hostile())["target"]["system"]],
    }[kind]


@pytest.mark.parametrize("kind", ["picture", *(name for name in SCHEMA["$defs"])])
def test_the_schema_names_each_field_and_misses_each_that_is_gone(kind: str) -> None:
    if kind == "container":
        found = [one["container"] for one in parts("object") if one["container"]]
    else:
        found = parts(kind)
    described = SCHEMA if kind == "picture" else SCHEMA["$defs"][kind]
    assert found
    assert set(described["required"]) == set(described["properties"]) == set(found[0])
    assert described["additionalProperties"] is False


def test_edges_can_be_read_without_the_rest() -> None:
    whole = written(examples.deadlock())
    edges = [(wait["waiter"], wait["owner"], wait["stands"]) for wait in whole["waits"]]
    assert edges == [
        (11, 12, True),
        (12, 11, True),
        *((tid, 11, True) for tid in (13,)),
        (14, 13, True),
        (15, 13, True),
    ]
