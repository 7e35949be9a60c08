from __future__ import annotations

from pathlib import Path

import pytest

from profiler import disk_cache
from profiler.binary.call_frames import MalformedCallFramesError
from profiler.binary.elf import Elf
from profiler.binary.functions import call_frames
from profiler.unwind import cached_table as module
from profiler.unwind.cached_table import cached_table
from profiler.unwind.table import compile_table


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EBPF_PROF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def elf() -> Elf:
    return Elf.from_bytes(Path("/bin/true").read_bytes())


def test_the_table_from_the_cache_is_the_same(elf: Elf, monkeypatch: pytest.MonkeyPatch) -> None:
    given = call_frames(elf), elf.code_ranges
    made = cached_table(*given)
    assert made.rows
    assert made == compile_table(*given)
    monkeypatch.setattr(module, "compile_table", lambda *_: pytest.fail("compiled again"))
    assert cached_table(*given) == made


@pytest.mark.parametrize("change", ["section", "code", "leaves", "version"])
def test_other_code_has_another_table(
    elf: Elf, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    section, ranges = call_frames(elf), elf.code_ranges
    made = cached_table(section, ranges)
    monkeypatch.setattr(module, "compile_table", lambda *_: made)
    kept: list[object] = []
    monkeypatch.setattr(disk_cache, "write", lambda *entry: kept.append(entry))
    if change == "section":
        section = type(section)(section.data + bytes(4), section.address, section.ends_at_zero)
    if change == "version":
        monkeypatch.setattr(module, "_CODE", b"another way")
    ranges = ranges[:-1] if change == "code" else ranges
    cached_table(section, ranges, ends_in_leaves=change == "leaves")
    assert len(kept) == 1


def test_malformed_frames_stay_an_error(elf: Elf, folder: Path) -> None:
    section = call_frames(elf)
    bad = type(section)(section.data + b"\xf0\xff\xff\xff" + bytes(8), section.address)
    for _ in range(2):
        with pytest.raises(MalformedCallFramesError):
            cached_table(bad, elf.code_ranges)
    assert not folder.exists()
