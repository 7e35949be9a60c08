from __future__ import annotations

import gzip
import io
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from profiler.model.profile import Profile
from profiler.renderers.exports import pprof
from profiler.renderers.graphs.lanes import comparison_lanes, sample_lanes
from tests.examples import EXAMPLES, field_story, hostile


def varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return value, at


def fields(data: bytes) -> dict[int, list[Any]]:
    """Return what a message holds by number of the field: whole numbers, or bytes."""
    found: dict[int, list[Any]] = defaultdict(list)
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        value, at = varint(data, at)
        if key & 7 == 2:
            assert at + value <= len(data)
            found[key >> 3].append(data[at : at + value])
            at += value
        else:
            assert key & 7 == 0
            found[key >> 3].append(value)
    return found


def numbers(data: bytes) -> Iterator[int]:
    at = 0
    while at < len(data):
        value, at = varint(data, at)
        yield value


def rendered(profile: Profile) -> dict[int, list[Any]]:
    out = io.BytesIO()
    pprof.render(profile, out)
    return fields(gzip.decompress(out.getvalue()))


class Decoded:
    """A profile as who reads the format sees it."""

    def __init__(self, profile: Profile) -> None:
        self.message = rendered(profile)
        self.strings = [text.decode() for text in self.message[6]]
        functions = {entry[1][0]: entry for entry in map(fields, self.message[5])}
        self.places = {}
        for entry in map(fields, self.message[4]):
            function = functions[fields(entry[4][0])[1][0]]
            name, file = (self.strings[function[number][0]] for number in (2, 4))
            self.places[entry[1][0]] = (name, "kernel" if file else "user")

    def kind(self, message: bytes) -> tuple[str, str]:
        entry = fields(message)
        return self.strings[entry[1][0]], self.strings[entry[2][0]]

    def samples(self) -> Iterator[tuple[str, str, tuple[str, ...], list[int]]]:
        """Yield label, its value, names root first, and values."""
        for entry in map(fields, self.message[2]):
            names = tuple(self.places[place][0] for place in numbers(entry[1][0]))
            yield *self.kind(entry[3][0]), names[::-1], list(numbers(entry[2][0]))


def test_it_holds_the_samples_of_threads_and_the_comparisons_in_containers() -> None:
    profile = field_story()
    decoded = Decoded(profile)
    period_ns = round(1e9 / profile.frequency_hz)
    expected = [
        (label, lane.label, tuple(name for name, _ in frames), [w * factor for factor in factors])
        for label, lanes, factors in (
            ("thread", sample_lanes(profile), (1, period_ns, 0)),
            ("container", comparison_lanes(profile), (0, 0, 1)),
        )
        for lane in lanes
        for frames, w in lane.stacks
    ]
    assert list(decoded.samples()) == expected
    assert {kind for _, kind in decoded.places.values()} == {"kernel", "user"}


def test_kinds_of_values_time_and_period_are_said() -> None:
    decoded = Decoded(field_story())
    kinds = [("samples", "count"), ("cpu", "nanoseconds"), ("comparisons", "count")]
    assert [decoded.kind(one) for one in decoded.message[1]] == kinds
    assert decoded.kind(decoded.message[11][0]) == ("cpu", "nanoseconds")
    assert decoded.message[12] == [round(1e9 / field_story().frequency_hz)]
    assert decoded.message[10] == [field_story().window.duration_ns]
    assert decoded.message[9][0] // 10**9 == 1_795_498_990  # date -d 2026-11-24T05:43:10Z +%s
    assert decoded.strings[decoded.message[14][0]] == "cpu"


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_keeps_to_the_format(example: str) -> None:
    decoded = Decoded(EXAMPLES[example]())
    assert decoded.strings[0] == ""
    assert len(set(decoded.strings)) == len(decoded.strings)
    assert 0 not in decoded.places
    assert all(len(values) == 3 for *_, values in decoded.samples())


def test_hostile_names_are_clipped_and_printable() -> None:
    strings = Decoded(hostile()).strings
    assert all(len(text) <= 300 and text.isprintable() for text in strings)


def test_a_start_that_makes_no_sense_is_left_out() -> None:
    assert rendered(replace(field_story(), started_at="\x1b[2J"))[9] == [0]


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 2**64 - 1])
def test_numbers_survive(value: int) -> None:
    assert list(numbers(pprof._packed([value, 5]))) == [value, 5]


def test_the_same_profile_gives_the_same_bytes() -> None:
    first, second = io.BytesIO(), io.BytesIO()
    pprof.render(field_story(), first)
    pprof.render(field_story(), second)
    assert first.getvalue() == second.getvalue()
