from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profiler.files.serializer import FLOAT_MAX, INT_MAX, Json, MismatchError, decode, encode
from profiler.model.recording import Recording
from profiler.model.search import Search


@dataclass(frozen=True, slots=True)
class Inner:
    numbers: tuple[int, ...]
    pair: tuple[str, float]


@dataclass(frozen=True, slots=True)
class Outer:
    name: str | None
    inner: tuple[Inner, ...]
    is_known: bool
    added: int | None = 7  # since some files were written


SHOWN: dict[str, Json] = {
    "name": None,
    "inner": [{"numbers": [1, 2], "pair": ["x", 0.5]}],
    "is_known": True,
    "added": 7,
}
VALUE = Outer(None, (Inner((1, 2), ("x", 0.5)),), True)


def test_dataclasses_become_objects_and_tuples_lists() -> None:
    assert encode(VALUE) == SHOWN


def test_what_was_written_is_read_back() -> None:
    assert decode(Outer, SHOWN) == VALUE


def test_a_field_that_is_younger_than_the_file_has_its_default() -> None:
    older = {name: value for name, value in SHOWN.items() if name != "added"}
    assert decode(Outer, older) == VALUE
    assert decode(Outer, SHOWN | {"added": None}).added is None


@settings(max_examples=60)
@given(
    st.builds(
        Outer,
        st.none() | st.text(),
        st.lists(
            st.builds(
                Inner,
                st.lists(st.integers(-INT_MAX, INT_MAX)).map(tuple),
                st.tuples(st.text(), st.floats(-FLOAT_MAX, FLOAT_MAX)),
            )
        ).map(tuple),
        st.booleans(),
    )
)
def test_any_value_is_read_back_equal(value: Outer) -> None:
    assert decode(Outer, encode(value)) == value


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(st.from_type(Recording))
def test_any_recording_is_read_back_equal(recording: Recording) -> None:
    bounded = _without_extremes(encode(recording))
    assert encode(decode(Recording, bounded)) == bounded


def _without_extremes(value):
    """Bring made-up integers into 64 bits and floats to what JSON can say."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return max(-INT_MAX, min(value, INT_MAX))
    if isinstance(value, float):
        return value if abs(value) <= FLOAT_MAX else 0.0
    if isinstance(value, list):
        return [_without_extremes(item) for item in value]
    return {name: _without_extremes(item) for name, item in value.items()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": 5}, "name: is 5, not a string"),
        ({"is_known": 1}, "is_known: is 1, not true or false"),
        ({"inner": None}, "inner: is null, not a list"),
        ({"inner": [[]]}, "inner[0]: is a list, not an object"),
        (
            {"inner": [{"numbers": [0, True], "pair": ["x", 1]}]},
            "inner[0].numbers[1]: is True, not a whole number",
        ),
        (
            {"inner": [{"numbers": [2**64], "pair": ["x", 1]}]},
            "inner[0].numbers[0]: is a number beyond 64 bits",
        ),
        (
            {"inner": [{"numbers": [], "pair": ["x", float("inf")]}]},
            "inner[0].pair[1]: is inf, not a number",
        ),
        (
            {"inner": [{"numbers": [], "pair": ["x", 1e31]}]},
            "inner[0].pair[1]: is 1e+31, beyond 1e+30",
        ),
        ({"inner": [{"numbers": [], "pair": ["x"]}]}, "inner[0].pair: has 1 items, not 2"),
        ({"inner": [{"numbers": []}]}, "inner[0]: misses field 'pair'"),
        ({"more": 1}, "the document: has an unknown field 'more'"),
    ],
)
def test_a_mismatch_names_the_field(change: dict[str, Json], message: str) -> None:
    with pytest.raises(MismatchError) as caught:
        decode(Outer, {**SHOWN, **change})
    assert str(caught.value) == message


@dataclass(frozen=True, slots=True)
class Younger:
    old: int
    new: tuple[int, ...] = ()


def test_a_field_with_a_default_may_be_missing() -> None:
    assert decode(Younger, {"old": 1}) == Younger(1)
    assert decode(Younger, {"old": 1, "new": [2]}) == Younger(1, (2,))
    with pytest.raises(MismatchError, match="misses field 'old'"):
        decode(Younger, {"new": []})
    with pytest.raises(MismatchError, match="has an unknown field 'newest'"):
        decode(Younger, {"old": 1, "newest": 2})


def test_an_enum_is_written_as_its_value() -> None:
    assert encode(Search.PARTIAL) == "partial"


def test_a_whole_number_is_read_where_a_float_is_wanted() -> None:
    shown: Json = {"numbers": [], "pair": ["x", 3]}
    assert decode(Inner, shown) == Inner((), ("x", 3.0))
