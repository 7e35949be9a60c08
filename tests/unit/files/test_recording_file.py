from __future__ import annotations

import gzip
import io
import json
import os
from operator import itemgetter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiler.errors import UsageError
from profiler.files import recording_file
from profiler.files.recording_file import (
    find_newest,
    parse_recording,
    read_recording,
    write_recording,
)
from profiler.files.serializer import encode
from profiler.model.recording import Distribution
from profiler.renderers.page import html
from profiler.renderers.terminal import text
from profiler.renderers.words.uses import container_uses
from profiler.report.aggregate import aggregate
from tests import examples
from tests.example_times import START_NS


def packed(recording=None) -> bytes:
    out = io.BytesIO()
    write_recording(recording or examples.recording(), out)
    return out.getvalue()


def document(**changes) -> bytes:
    fields = encode(examples.recording())
    assert isinstance(fields, dict)
    return json.dumps(fields | changes).encode()


@pytest.mark.parametrize("items", [1, 2, 1_000])
def test_long_lists_are_written_some_items_at_a_time(
    monkeypatch: pytest.MonkeyPatch, items: int
) -> None:
    monkeypatch.setattr(recording_file, "_ITEMS_AT_ONCE", items)
    written = gzip.decompress(packed())
    whole = json.dumps(encode(examples.recording()), separators=(",", ":"))
    assert written.decode() == whole


def test_a_recording_is_read_back_equal(tmp_path: Path) -> None:
    (tmp_path / "recording").write_bytes(packed())
    assert read_recording(tmp_path / "recording") == examples.recording()


def test_an_output_folder_stands_for_its_recording(tmp_path: Path) -> None:
    (tmp_path / "recording").write_bytes(packed())
    assert read_recording(tmp_path) == examples.recording()


def test_equal_recordings_give_equal_bytes() -> None:
    assert packed() == packed()


def test_the_schema_comes_first() -> None:
    text = gzip.decompress(packed())
    assert text.startswith(b'{"schema":"ebpf-prof/recording/1",')


def refusal(path: Path) -> str:
    with pytest.raises(UsageError) as caught:
        read_recording(path)
    assert caught.value.hint
    return caught.value.message.removeprefix(f"cannot read {str(path)!r}: ")


def gzipped(data: bytes) -> bytes:
    """Compress without the time, because tests are named after what this returns."""
    return gzip.compress(data, mtime=0)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is not a recording: no valid JSON inside"),
        (b"plain text", "is not a recording"),
        (packed()[:-20], "is truncated or damaged"),
        (packed()[:30] + bytes(40) + packed()[70:], "is truncated or damaged"),
        (gzipped(b"[1, NaN]"), "is not a recording: no valid JSON inside"),
        (gzipped(b"\xff\xfe"), "is not a recording: no valid JSON inside"),
        (gzipped(b"[]"), "is not a recording: no schema of one"),
        (gzipped(b"[" * 100_000), "is not a recording: nested too deeply"),
        (gzipped(b'{"schema": "other"}'), "is not a recording: no schema of one"),
        (
            gzipped(b'{"schema": "ebpf-prof/recording/2"}'),
            "has the format 'ebpf-prof/recording/2', this ebpf-prof reads 'ebpf-prof/recording/1'",
        ),
        (
            gzipped(document(window={"start_ns": 1})),
            "is not a valid recording: window: misses field 'end_ns'",
        ),
        (
            gzipped(document(samples=[{"time_ns": 1, "tid": 2, "stack": 3}])),
            "is not a valid recording: samples.stack: 3 is not below 3",
        ),
        (
            gzipped(document(frequency_hz=1e-320)),
            "is not a valid recording: frequency_hz: not within 0.001 to 1e+06",
        ),
        (
            gzipped(document(window={"start_ns": 1, "end_ns": 1})),
            "is not a valid recording: window: ends before it starts",
        ),
        (
            gzipped(document(samples=[{"time_ns": 1, "tid": 2, "stack": -1}])),
            "is not a valid recording: samples.stack: -1 is not below 3",
        ),
    ],
)
def test_a_bad_file_is_refused_with_its_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "recording"
    path.write_bytes(content)
    assert refusal(path) == reason


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none") == "No such file or directory"


def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe") == "is not a regular file"


def test_a_file_that_unpacks_too_large_is_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(recording_file, "UNPACKED_BYTES_MAX", 1_000)
    (tmp_path / "recording").write_bytes(gzip.compress(bytes(10_000)))
    assert refusal(tmp_path / "recording") == "unpacks to more than 1000 bytes"


@pytest.mark.parametrize(
    ("field", "row", "name"),
    [
        ("frames", {"file": 2}, "frames.file"),
        ("stacks", {"frames": [4]}, "stacks.frames"),
        ("stacks", {"kernel_count": 4}, "stacks.kernel_count"),
        ("containers", {"comparator": 4}, "containers functions"),
        ("threads", {"start": [4]}, "threads.start"),
        ("lookups", {"container": 1}, "lookups.container"),
        ("lookups", {"call_site": 2}, "lookups.call_site"),
        ("operations", {"call_site": 2}, "operations.call_site"),
        ("operations", {"frame": 4}, "operations.frame"),
        ("operations", {"stacks": [3]}, "operations.stacks"),
        ("operations", {"stacks": [0, 1]}, "operations.stacks"),
        ("lookup_stacks", {"stack": 3}, "lookup_stacks.stack"),
        ("lookup_stacks", {"container": 1}, "lookup_stacks.container"),
    ],
)
def test_an_index_that_points_nowhere_is_refused(field: str, row: dict, name: str) -> None:
    rows = json.loads(document())[field]
    rows[0] |= row
    with pytest.raises(ValueError, match=f"is not a valid recording: {name}: "):
        parse_recording(document(**{field: rows}))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"container": 1}, "links.stacks.container: 1 is not below 1"),
        ({"stack": 3}, "links.stacks.stack: 3 is not below 3"),
        ({"links": -1}, "links.stacks.links: is below zero"),
    ],
)
def test_links_that_no_run_writes_are_refused(change: dict, problem: str) -> None:
    links = json.loads(document())["links"]
    links["stacks"][0] |= change
    with pytest.raises(ValueError, match=f"is not a valid recording: {problem}"):
        parse_recording(document(links=links))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"containers": [{"container": 1, "elements": []}]}, ".containers: 1 is not below 1"),
        ({"ends_ns": [START_NS, START_NS + 1]}, ": ends_ns do not ascend"),
        ({"ends_ns": [START_NS + 2, START_NS + 1]}, ": ends_ns do not ascend"),
        ({"verified": []}, ": verified and comparisons are not as long"),
        ({"cost_ns": [1]}, ": a series is not as long as ends_ns"),
        ({"lookups_hz": [1.0, 2.0, 3.0]}, ": a series is not as long as ends_ns"),
        ({"containers": [{"container": 0, "elements": [1]}]}, ": a series is not as long"),
        ({"drops": [None, -1]}, ": a number is below zero"),
        ({"ends_ns": [START_NS + 1 + at for at in range(1_001)]}, ": has more than 1000 items"),
        ({"containers": [{"container": 0, "elements": []}] * 1_001}, ": has more than 1000 items"),
    ],
)
def test_a_time_line_that_cannot_be_drawn_is_refused(changes: dict, problem: str) -> None:
    line = json.loads(document())["time_line"] | changes
    with pytest.raises(ValueError, match=f"is not a valid recording: time_line{problem}"):
        parse_recording(document(time_line=line))


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("lookups", "estimated_total"),
        ("lookups", "estimated_variance"),
        ("lookup_stacks", "lookups"),
        ("lookup_stacks", "comparisons"),
    ],
)
def test_an_estimate_below_zero_is_refused(field: str, name: str) -> None:
    rows = json.loads(document())[field]
    rows[0] |= {name: -0.5}
    with pytest.raises(ValueError, match=f"is not a valid recording: {field}.{name}: "):
        parse_recording(document(**{field: rows}))


def test_a_lower_bound_has_no_variance() -> None:
    rows = json.loads(document())["lookups"]
    rows[0] |= {"estimated_variance": None}
    (group,) = parse_recording(document(lookups=rows)).lookups
    assert (group.estimated_total, group.estimated_variance) == (96.5, None)


SLOTS = "slots do not ascend from 0, or are empty"
MAXIMUM = "max and slots are not both there"


@pytest.mark.parametrize("field", ["comparisons", "sort_calls", "duration_ns"])
@pytest.mark.parametrize(
    ("distribution", "reason"),
    [
        (Distribution(3, 10, 5, ()), "count is not the sum of the slots"),
        (Distribution(3, 10, 5, ((0, 1, 0),)), SLOTS),
        (Distribution(0, 0, 5, ()), MAXIMUM),
        (Distribution(1, 0, None, ((0, 1, 1),)), MAXIMUM),
        (Distribution(0, 0, 17, ((16, 17, -3), (17, 18, 3))), SLOTS),
        (Distribution(2, 0, 0, ((-(2**62), 1 - 2**62, 1), (0, 1, 1))), SLOTS),
        (Distribution(2, 5, 3, ((0, 4, 1), (3, 5, 1))), SLOTS),
        (Distribution(1, 3, 3, ((3, 3, 1),)), SLOTS),
        (Distribution(3, 10, 5, ((5, 6, 2),)), "count is not the sum of the slots"),
    ],
)
def test_a_distribution_that_contradicts_itself_is_refused(
    field: str, distribution: Distribution, reason: str
) -> None:
    rows = json.loads(document())["lookups"]
    rows[0][field] = encode(distribution)
    with pytest.raises(ValueError, match=f"is not a valid recording: lookups.{field}: {reason}"):
        parse_recording(document(lookups=rows))


slot = st.tuples(*3 * [st.one_of(st.integers(-2, 20), st.integers(-(2**64) + 1, 2**64 - 1))])
distributions = st.builds(
    Distribution,
    st.integers(0, 20),
    st.integers(0, 2**64 - 1),
    st.none() | st.integers(0, 2**64 - 1),
    st.lists(slot, max_size=3).map(tuple),
)
honest = st.lists(
    st.tuples(st.integers(0, 2**64 - 2), st.integers(1, 5)), max_size=30, unique_by=itemgetter(0)
).map(
    lambda values: Distribution(
        sum(count for _, count in values),
        sum(value * count for value, count in values) % 2**64,
        max((value for value, _ in values), default=None),
        tuple((value, value + 1, count) for value, count in sorted(values)),
    )
)


@settings(max_examples=100)
@given(st.one_of(distributions, honest), st.one_of(distributions, honest))
def test_any_distribution_is_shown_or_refused_never_a_crash(
    compared: Distribution, took: Distribution
) -> None:
    rows = json.loads(document())["lookups"]
    rows[0] |= {"comparisons": encode(compared), "duration_ns": encode(took)}
    try:
        profile = aggregate(parse_recording(document(lookups=rows)))
    except ValueError as error:
        assert str(error).startswith("is not a valid recording: lookups.")
        return
    for render in (text.render, html.render):
        render(profile, io.StringIO())
    assert all(len(made) < 100 for use in container_uses(profile) for _, made in use.histograms())


@settings(max_examples=200)
@given(st.data())
def test_a_changed_byte_is_read_or_refused_never_a_crash(data: st.DataObject) -> None:
    text = bytearray(document())
    position = data.draw(st.integers(0, len(text) - 1))
    text[position] = data.draw(st.integers(0, 255))
    try:
        parse_recording(bytes(text))
    except ValueError as error:
        assert str(error)


def test_the_newest_of_the_recordings_here_is_found(tmp_path: Path) -> None:
    assert find_newest(tmp_path) is None
    names = ("recording", "x.recording", "x.leaks", "a/recording", "a/2/recording")
    for place, name in enumerate((*names, "a/b/recording", "report.html")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (place, place))
    (tmp_path / "a" / "3").mkdir()
    (tmp_path / "a" / "3" / "recording").symlink_to(tmp_path / "report.html")
    for name in reversed(names):
        assert find_newest(tmp_path) == tmp_path / name
        (tmp_path / name).unlink()
    assert find_newest(tmp_path) is None
