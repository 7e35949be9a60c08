"""A recording of leaks from a stranger is shown, or refused in one line; it breaks nothing."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profiler.files.leaks_file import parse_leaks
from profiler.files.serializer import encode
from profiler.renderers.exports import leaks_json
from profiler.renderers.terminal import leaks_text
from profiler.report.leaks.leaks_profile import leaks_profile
from tests.followed_objects import SITES, World, record
from tests.leak_examples import RECORDING

DOCS = Path(__file__).parents[2] / "docs"
SHIPPED = jsonschema.Draft202012Validator(json.loads((DOCS / "leaks.schema.json").read_text()))
_SECOND = 1_000_000_000
_INTEGERS = st.sampled_from((0, 1, -1, 2, 7, 31 * _SECOND, 2**63, 2**64 - 1, 1 - 2**64, 10**30))
_NUMBERS = st.sampled_from((0.0, -0.5, 1e-300, 1e30, -1e30, 1e31, float("nan"), float("inf")))
_TEXTS = st.sampled_from(
    ("", "/", ".", "\x1b[2J", "\x9b31m", "\r\n", "\u202e", "\ud800", "x" * 9_999, "~", "a@b")
    + ("alive", "freed", "lost", "link", "unlink", "gap", "reference")
    + ("astobj2.c", "__ao2_link", "/x/chan_x.so", "chan_x.c")
)
_OTHERS: st.SearchStrategy[Any] = st.sampled_from((None, True, [], {}, [[]], {"": 0}))
_OF_KIND: dict[type, st.SearchStrategy[Any]] = {int: _INTEGERS, float: _NUMBERS, str: _TEXTS}
_ANY = st.one_of(_INTEGERS, _NUMBERS, _TEXTS, _OTHERS)


@cache
def documents() -> tuple[str, ...]:
    """Return recordings as text: a small one, and those in which objects leak."""
    leaking = (record(World(at, 120, 0.5, site, 0.5)) for at, site in enumerate(SITES))
    return tuple(json.dumps(encode(one)) for one in (RECORDING, *leaking))


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every list or object and a key of it, however deep inside a value."""
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], (dict, list)):
            yield from places(value[key])


def damage(data: st.DataObject, document: Any) -> None:
    """Change a value, let others take its place, repeat an item or take one out."""
    holder = document[data.draw(st.sampled_from(sorted(document)))]
    if not isinstance(holder, (dict, list)) or not holder:
        holder = document
    everywhere = list(places(holder))
    inside, key = data.draw(st.sampled_from(everywhere))
    value = inside[key]
    how = data.draw(st.sampled_from(("alike", "alike", "alike", "moved", "twice", "gone", "any")))
    if how == "twice" and isinstance(inside, list):
        inside.insert(key, copy.deepcopy(value))
    elif how == "gone":
        del inside[key]
    elif how == "moved":
        other, at = data.draw(st.sampled_from(everywhere))
        if type(other[at]) is type(value):
            inside[key] = copy.deepcopy(other[at])
    else:
        kind = _OF_KIND.get(type(value), _ANY) if how == "alike" else _ANY
        inside[key] = copy.deepcopy(data.draw(kind))


def show(text: bytes) -> bool:
    """Show a recording if it is taken, else see how it is refused; return which of the two."""
    try:
        recording = parse_leaks(text)
    except ValueError as error:
        assert str(error).isprintable() and len(str(error)) < 300
        return False
    profile = leaks_profile(recording)
    shown, written = io.StringIO(), io.StringIO()
    leaks_text.render(profile, shown)
    leaks_json.render(profile, written)
    assert all(line.isprintable() for line in shown.getvalue().split("\n"))
    assert written.getvalue().isascii()
    SHIPPED.validate(json.loads(written.getvalue()))
    return True


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_whatever_is_in_it_is_shown_or_refused(data: st.DataObject) -> None:
    document = json.loads(data.draw(st.sampled_from(documents())))
    for _ in range(data.draw(st.integers(1, 3))):
        damage(data, document)
    show(json.dumps(document).encode())


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_changed_byte_is_shown_or_refused(data: st.DataObject) -> None:
    text = bytearray(documents()[0].encode())
    text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    show(bytes(text))


@pytest.mark.parametrize("at", range(1 + len(SITES)))
def test_undamaged_ones_are_shown(at: int) -> None:
    assert show(documents()[at].encode())
