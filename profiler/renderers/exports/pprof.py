"""profile.pb.gz: for `go tool pprof` and what else reads its format.

Samples and comparisons are kinds of value of one profile. The thread or the container is a label,
which `-tagroot` makes the root of. The format is in profile.proto of github.com/google/pprof; of
protobuf it needs numbers and byte strings only.
"""

from __future__ import annotations

import gzip
import time
from calendar import timegm
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from profiler.model.profile import Profile
from profiler.renderers.graphs.lanes import Frame, Lane, comparison_lanes, sample_lanes
from profiler.renderers.words.labels import LABEL_MAX, clip

# Kinds of value and their units, in the order of a sample's values.
_KINDS = (("samples", "count"), ("cpu", "nanoseconds"), ("comparisons", "count"))
_NUMBER, _BYTES = 0, 2  # how a field is written: protobuf.dev, Encoding
_MASK_64 = (1 << 64) - 1


def render(profile: Profile, out: BinaryIO) -> None:
    """Write the profile; equal profiles give equal bytes."""
    with gzip.GzipFile(filename="", mode="wb", fileobj=out, mtime=0) as packed:
        for part in _parts(profile):
            packed.write(part)


def _parts(profile: Profile) -> Iterator[bytes]:
    strings: dict[str, int] = {"": 0}  # the format wants it first
    functions: dict[Frame, int] = {}
    period_ns = round(1e9 / profile.frequency_hz)
    for kind in _KINDS:
        yield _field(1, _kind(kind, strings))
    for lane in sample_lanes(profile):
        yield from _samples(lane, "thread", (1, period_ns, 0), strings, functions)
    for lane in comparison_lanes(profile):
        yield from _samples(lane, "container", (0, 0, 1), strings, functions)
    for (label, side), number in functions.items():
        yield _field(4, _field(1, number) + _field(4, _field(1, number)))
        name, file = (
            _index(label, strings),
            _index("[kernel]" * (side in ("kernel", "probe")), strings),
        )
        yield _field(5, _field(1, number) + _field(2, name) + _field(4, file))
    yield _field(9, _began_ns(profile)) + _field(10, profile.window.duration_ns)
    yield _field(11, _kind(_KINDS[1], strings)) + _field(12, period_ns)
    yield _field(14, strings[_KINDS[1][0]])
    for text in strings:
        yield _field(6, text.encode())


def _samples(
    lane: Lane,
    label: str,
    weighing: tuple[int, ...],
    strings: dict[str, int],
    functions: dict[Frame, int],
) -> Iterator[bytes]:
    """Yield a lane's stacks, leaf first; a location has the number of its function."""
    said = _field(1, _index(label, strings)) + _field(2, _index(lane.label, strings))
    for frames, weight in lane.stacks:
        places = [functions.setdefault(frame, len(functions) + 1) for frame in reversed(frames)]
        values = [weight * factor for factor in weighing]
        yield _field(2, _field(1, _packed(places)) + _field(2, _packed(values)) + _field(3, said))


def _kind(kind: tuple[str, str], strings: dict[str, int]) -> bytes:
    name, unit = kind
    return _field(1, _index(name, strings)) + _field(2, _index(unit, strings))


def _index(text: str, strings: dict[str, int]) -> int:
    return strings.setdefault(clip(text, LABEL_MAX), len(strings))


def _began_ns(profile: Profile) -> int:
    """Return when it was recorded, since 1970; 0 if a recording from elsewhere does not say so."""
    try:
        return timegm(time.strptime(profile.started_at, "%Y-%m-%dT%H:%M:%SZ")) * 1_000_000_000
    except ValueError:
        return 0


def _field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3 | _NUMBER) + _varint(value)
    return _varint(number << 3 | _BYTES) + _varint(len(value)) + value


def _packed(values: Iterable[int]) -> bytes:
    return b"".join(map(_varint, values))


def _varint(value: int) -> bytes:
    """Return seven bits in each byte, the lowest first; all but the last have the eighth set."""
    value &= _MASK_64  # a number below zero, or beyond its field, is none that a run writes
    low = bytearray()
    while value > 0x7F:
        low.append(value & 0x7F | 0x80)
        value >>= 7
    low.append(value)
    return bytes(low)
