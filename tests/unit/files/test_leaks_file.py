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
    ],
)
def test_a_damaged_recording_is_refused(change: Callable[[Any], None], said: str) -> None:
    damaged = document()
    change(damaged)
    with pytest.raises(ValueError, match=said):
        parse_leaks(json.dumps(damaged).encode())


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
