"""Recordings of followed objects as files: written, read, damaged, hostile."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from profiler.errors import UsageError
from profiler.files import leaks_file
from profiler.files.leaks_file import parse_leaks, read_any, read_leaks, write_leaks
from profiler.files.recording_file import write_recording
from profiler.files.serializer import encode
from profiler.model.leaks import LeaksRecording
from tests import examples
from tests.leak_examples import ALIVE, FREED, RECORDING


def document() -> Any:
    return json.loads(json.dumps(encode(RECORDING)))


def packed(recording: LeaksRecording) -> bytes:
    out = io.BytesIO()
    write_leaks(recording, out)
    return out.getvalue()


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "objects.leaks"
    path.write_bytes(packed(RECORDING))
    assert read_leaks(path) == RECORDING
    assert packed(RECORDING) == packed(RECORDING)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.update(schema="ebpf-prof/recording/1"), "another format"),
        (lambda d: d["objects"][0].update(fate="eaten"), "not one of freed, alive, lost"),
        (lambda d: d["objects"][0].update(fate=[]), "not one of"),
        (lambda d: d["objects"][0].update(type=1), "objects.type: 1 is not below 1"),
        (lambda d: d["objects"][0].update(stack=1), "objects.stack"),
        (lambda d: d["objects"][0]["history"][0].update(site=-1), "history.site"),
        (lambda d: d["objects"][0]["history"][1].update(stack=5), "history.stack"),
        (lambda d: d["types"][0].update(site=2), "types.site"),
        (lambda d: d["types"][0].update(destructor=2), "types.destructor"),
        (lambda d: d["links"][0].update(site=9), "links.site"),
        (lambda d: d["births"][0].update(type=9), "births.type"),
        (lambda d: d["containers"][0].update(comparator=9), "containers functions"),
        (lambda d: d["frames"][0].update(file=9), "frames.file"),
        (lambda d: d["stacks"][0].update(frames=[3]), "stacks.frames"),
        (lambda d: d["window"].update(end_ns=0), "ends before it starts"),
        (lambda d: d["containers"][0].update(elements=[[9, 3], [8, 5]]), "elements: not by time"),
        (lambda d: d.pop("objects"), "misses field"),
        (lambda d: d["target"].update(pid=-1), "target.pid: is below zero"),
        (lambda d: d["window"].update(start_ns=-1), "window.start_ns: is below zero"),
        (lambda d: d["birth_accounting"].update(lost=-1), "birth_accounting: is below zero"),
        (lambda d: d["change_accounting"].update(fired=-1), "change_accounting: is below zero"),
        (lambda d: d["links"][0].update(count=-1), "links.count: is below zero"),
        (lambda d: d["containers"][0].update(elements=[[8, -1]]), "elements: is below zero"),
        (lambda d: d.update(names=[named(1, read=-1)]), "names.read: is below zero"),
        (lambda d: d.update(names=[named(1, count=-1)]), "names.names.count: is below zero"),
    ],
)
def test_a_damaged_recording_is_refused(change: Callable[[Any], None], said: str) -> None:
    damaged = document()
    change(damaged)
    with pytest.raises(ValueError, match=said):
        parse_leaks(json.dumps(damaged).encode())


def named(names: int, name: str = "", read: int = 1, count: int = 1) -> Any:
    return {"type": 0, "read": read, "names": [{"name": name, "count": count}] * names}


@pytest.mark.parametrize(
    ("field", "limit", "change"),
    [
        ("sites", 16_384, lambda d, n: d.update(sites=d["sites"][:1] * n)),
        ("types", 16_384, lambda d, n: d.update(types=d["types"] * n)),
        ("containers", 4_096, lambda d, n: d.update(containers=d["containers"] * n)),
        ("warnings", 1_024, lambda d, n: d.update(warnings=["w"] * n)),
        ("stacks.frames", 1_024, lambda d, n: d["stacks"][0].update(frames=[0] * n)),
        ("sites.file", 4_096, lambda d, n: d["sites"][0].update(file="x" * n)),
        ("sites.function", 4_096, lambda d, n: d["sites"][0].update(function="x" * n)),
        ("containers.elements", 1_024, lambda d, n: sized(d, [[0, 1]] * n)),
        ("names.names", 100, lambda d, n: d.update(names=[named(n)])),
        ("names.names.name", 4_096, lambda d, n: d.update(names=[named(1, "x" * n)])),
        ("objects.history", 16_384, lambda d, n: d["objects"][0].update(history=changes(d, n))),
    ],
)
def test_what_is_longer_than_in_any_run_is_refused(
    field: str, limit: int, change: Callable[[Any, int], None]
) -> None:
    longest, longer = document(), document()
    change(longest, limit)
    change(longer, limit + 1)
    parse_leaks(json.dumps(longest).encode())
    with pytest.raises(ValueError, match=f"recording: {field}: {limit + 1} is above {limit}"):
        parse_leaks(json.dumps(longer).encode())


def sized(damaged: Any, elements: list[list[int]]) -> None:
    damaged["containers"][0].update(elements=elements)


def changes(damaged: Any, count: int) -> Any:
    return damaged["objects"][0]["history"][:1] * count


@pytest.mark.parametrize("filler", ["[[],[]]", "[1,1,1]", '{"a":{},"b":1}'])
def test_more_values_than_in_any_run_are_refused_before_they_are_made(
    monkeypatch: pytest.MonkeyPatch, filler: str
) -> None:
    monkeypatch.setattr(leaks_file, "_VALUES_MAX", 2)
    monkeypatch.setattr(json, "loads", None)
    with pytest.raises(ValueError, match="holds more than 2 values"):
        parse_leaks(filler.encode())


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"[" * 100_000])
def test_what_is_no_recording_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="is not a recording|has another format"):
        parse_leaks(text)


@pytest.mark.parametrize("data", [b"", b"no gzip", packed(RECORDING)[:40]])
def test_a_file_that_cannot_be_unpacked_is_one_clear_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "objects.leaks"
    path.write_bytes(data)
    with pytest.raises(UsageError, match="cannot read"):
        read_leaks(path)


def test_the_examples_balance() -> None:
    assert FREED.balance == 0 and FREED.is_whole
    assert ALIVE.balance == ALIVE.references
    assert RECORDING.birth_accounting.balanced() and RECORDING.change_accounting.balanced()
    assert replace(FREED, lost_changes=1).is_whole is False


def test_a_recording_of_either_kind_is_read(tmp_path: Path) -> None:
    path = tmp_path / "recording"
    path.write_bytes(packed(RECORDING))
    assert read_any(path) == RECORDING
    with path.open("wb") as out:
        write_recording(examples.recording(), out)
    assert read_any(path) == examples.recording()
    assert read_any(tmp_path) == examples.recording()


@pytest.mark.parametrize(
    "content", [b"", b"x", gzip.compress(b"{}", mtime=0), gzip.compress(b"x", mtime=0)]
)
def test_what_is_of_no_kind_says_which_there_are(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "recording"
    path.write_bytes(content)
    with pytest.raises(UsageError) as raised:
        read_any(path)
    assert "'ebpf-prof asterisk'" in raised.value.hint
    assert "'ebpf-prof leaks -o FILE'" in raised.value.hint
