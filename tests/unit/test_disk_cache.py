from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler import disk_cache


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EBPF_PROF_CACHE", str(tmp_path / "cache"))
    disk_cache._remove_oldest_once.cache_clear()
    return tmp_path / "cache"


def entry(folder: Path) -> Path:
    (found,) = folder.iterdir()
    return found


def test_what_was_kept_is_found_under_its_key_and_kind() -> None:
    assert disk_cache.read("kind", b"key") is None
    disk_cache.write("kind", b"key", b"data")
    assert disk_cache.read("kind", b"key") == b"data"
    assert disk_cache.read("kind", b"other") is None
    assert disk_cache.read("other", b"key") is None
    disk_cache.write("kind", b"key", b"newer")
    assert disk_cache.read("kind", b"key") == b"newer"


@given(at=st.integers(0, 35), bit=st.integers(0, 7))
def test_a_damaged_entry_is_not_used(
    at: int, bit: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("cache")
    os.environ["EBPF_PROF_CACHE"] = str(folder)
    disk_cache.write("kind", b"key", b"data")
    content = bytearray(entry(folder).read_bytes())
    content[at] ^= 1 << bit
    entry(folder).write_bytes(content)
    assert disk_cache.read("kind", b"key") is None


@pytest.mark.parametrize("length", [0, 31, 32, 35])
def test_a_cut_entry_is_not_used(folder: Path, length: int) -> None:
    disk_cache.write("kind", b"key", b"data")
    os.truncate(entry(folder), length)
    assert disk_cache.read("kind", b"key") is None


def test_an_entry_of_another_key_is_not_used(folder: Path) -> None:
    disk_cache.write("kind", b"key", b"data")
    found = entry(folder)
    found.rename(folder / disk_cache._name("kind", b"wanted"))
    assert disk_cache.read("kind", b"wanted") is None


@pytest.mark.root
@pytest.mark.parametrize("of_folder", [True, False])
def test_what_others_may_have_written_is_not_used(folder: Path, of_folder: bool) -> None:
    disk_cache.write("kind", b"key", b"data")
    place = folder if of_folder else entry(folder)
    for change in (lambda: place.chmod(0o722), lambda: os.chown(place, 65_534, 0)):
        change()
        assert disk_cache.read("kind", b"key") is None
        place.chmod(0o700)
        os.chown(place, 0, 0)
        assert disk_cache.read("kind", b"key") == b"data"


def test_links_are_not_followed(folder: Path, tmp_path: Path) -> None:
    disk_cache.write("kind", b"key", b"data")
    real = entry(folder)
    moved = real.rename(tmp_path / "elsewhere")
    real.symlink_to(moved)
    assert disk_cache.read("kind", b"key") is None
    disk_cache.write("kind", b"key", b"newer")  # in the link's place, not through it
    assert disk_cache.read("kind", b"key") == b"newer"
    assert moved.read_bytes().endswith(b"data")
    folder.rename(tmp_path / "folder")
    folder.symlink_to(tmp_path / "folder")
    assert disk_cache.read("kind", b"key") is None
    disk_cache.write("kind", b"other", b"data")
    assert len(list((tmp_path / "folder").iterdir())) == 1


def test_a_pipe_in_an_entrys_place_holds_nobody_up(folder: Path) -> None:
    disk_cache.write("kind", b"key", b"data")
    place = entry(folder)
    place.unlink()
    os.mkfifo(place)
    assert disk_cache.read("kind", b"key") is None


def test_what_was_not_used_for_longest_makes_room(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_cache, "MAX_ENTRIES", 3)
    for number in range(5):
        disk_cache._remove_oldest_once.cache_clear()
        disk_cache.write("kind", bytes([number]), b"data")
        os.utime(folder / disk_cache._name("kind", bytes([number])), (number, number))
        disk_cache.read("kind", bytes(1))  # the first one is used all the time
    found = [disk_cache.read("kind", bytes([number])) for number in range(5)]
    assert found == [b"data", None, None, b"data", b"data"]


def test_the_sum_is_bounded_and_what_is_too_large_is_not_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_cache, "MAX_BYTES", 3_000)
    monkeypatch.setattr(disk_cache, "_MAX_ENTRY_BYTES", 1_000)
    for number in range(9):
        disk_cache._remove_oldest_once.cache_clear()
        disk_cache.write("kind", bytes([number]), bytes(1_000))
        disk_cache.write("kind", bytes([number]), bytes(1_001))
    assert sum(found.stat().st_size for found in folder.iterdir()) <= 3_000


def test_what_a_killed_run_left_is_removed_and_nothing_else(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_cache, "MAX_BYTES", 10)
    folder.mkdir(mode=0o700)
    ours = f".kind-{64 * '0'}"
    for name, age_s in ((f"{ours}.1", 4_000), (f"{ours}.2", 4), (".bashrc", 9_000), ("big", 9_000)):
        (folder / name).write_text("more than ten bytes")
        os.utime(folder / name, (folder.stat().st_mtime - age_s,) * 2)
    (folder / f"kind-{64 * '1'}").mkdir()  # cannot be removed: that ends nothing
    disk_cache.write("kind", b"key", bytes(11))
    left = {found.name for found in folder.iterdir()}
    assert left == {f"{ours}.2", ".bashrc", "big", f"kind-{64 * '1'}"}


def test_nowhere_to_write_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("", "relative", "/proc/nowhere", "/dev/null"):
        monkeypatch.setenv("EBPF_PROF_CACHE", place)
        disk_cache.write("kind", b"key", b"data")
        assert disk_cache.read("kind", b"key") is None


def test_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EBPF_PROF_CACHE")
    monkeypatch.setenv("HOME", "/home/anna")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert disk_cache.folder() == Path("/var/cache/ebpf-prof")  # whoever's home sudo has kept
    monkeypatch.setattr(os, "geteuid", lambda: 1_000)
    assert disk_cache.folder() == Path("/home/anna/.cache/ebpf-prof")
    monkeypatch.setenv("XDG_CACHE_HOME", "/scratch")
    assert disk_cache.folder() == Path("/scratch/ebpf-prof")


def test_what_holds_for_a_boot_is_asked_once_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def make() -> list[int] | None:
        asked.append(1)
        return [len(asked)] if len(asked) > 1 else None

    assert disk_cache.for_this_boot("x", make) is None  # no answer: asked again
    assert disk_cache.for_this_boot("x", make) == [2]
    assert disk_cache.for_this_boot("x", make) == [2]
    assert disk_cache.for_this_boot("y", make) == [3]
    monkeypatch.setattr(disk_cache, "_asking_code", lambda: b"another version")
    assert disk_cache.for_this_boot("x", make) == [4]
    monkeypatch.setattr(Path, "read_text", lambda _path: "another boot")
    assert disk_cache.for_this_boot("x", make) == [5]
    disk_cache.switch_off()
    assert disk_cache.for_this_boot("x", make) == [6]
