from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from profiler.binary.call_frames import CallFrameSection
from profiler.unwind.table import UnwindTable, compile_table
from profiler.unwind.table_cache import STALE_AFTER_S, TableCache, default_directory, table_key
from tests.call_frames import OFFSET_16, Section

KEY = "0123456789abcdef"
RANGES = ((0x1000, 0x9000),)


def section(start: int = 0x2000) -> CallFrameSection:
    one = Section()
    one.fde(one.cie(), start, 0x10, OFFSET_16)
    return one.built()


@pytest.fixture
def table() -> UnwindTable:
    return compile_table((section(),), RANGES)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "made" / "by us"


def test_a_table_comes_back(folder: Path, table: UnwindTable) -> None:
    TableCache.open(folder).put(KEY, table)
    assert TableCache.open(folder).get(KEY) == table
    assert TableCache.open(folder).get("another") is None


def test_the_folder_is_closed_to_others(folder: Path, table: UnwindTable) -> None:
    TableCache.open(folder).put(KEY, table)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / KEY).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701])
def test_a_folder_open_to_others_is_not_used(folder: Path, table: UnwindTable, mode: int) -> None:
    TableCache.open(folder).put(KEY, table)
    folder.chmod(mode)
    assert TableCache.open(folder).get(KEY) is None


def test_a_folder_of_another_user_is_not_used(
    folder: Path, table: UnwindTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    TableCache.open(folder).put(KEY, table)
    other = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: other)
    assert TableCache.open(folder).get(KEY) is None


def test_a_link_is_no_folder(folder: Path, tmp_path: Path, table: UnwindTable) -> None:
    TableCache.open(folder).put(KEY, table)
    link = tmp_path / "link"
    link.symlink_to(folder)
    cache = TableCache.open(link)
    cache.put("other", table)
    assert cache.get(KEY) is None
    assert not (folder / "other").exists()


def test_links_in_the_folder_are_not_followed(
    folder: Path, tmp_path: Path, table: UnwindTable
) -> None:
    cache = TableCache.open(folder)
    cache.put(KEY, table)
    elsewhere = tmp_path / "elsewhere"
    (folder / KEY).rename(elsewhere)
    contents = elsewhere.read_bytes()
    (folder / KEY).symlink_to(elsewhere)
    assert cache.get(KEY) is None
    cache.put(KEY, table)
    assert elsewhere.read_bytes() == contents
    assert not (folder / KEY).is_symlink()
    assert cache.get(KEY) == table


def test_a_damaged_file_is_not_used(folder: Path, table: UnwindTable) -> None:
    cache = TableCache.open(folder)
    cache.put(KEY, table)
    data = (folder / KEY).read_bytes()
    for at in range(0, len(data), 7):
        (folder / KEY).write_bytes(data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :])
        assert cache.get(KEY) is None
        (folder / KEY).write_bytes(data[:at])
        assert cache.get(KEY) is None


def test_what_is_no_file_is_not_used(folder: Path) -> None:
    cache = TableCache.open(folder)
    os.mkfifo(folder / KEY)
    assert cache.get(KEY) is None


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path: Path, table: UnwindTable) -> None:
    (tmp_path / "file").write_text("")
    cache = TableCache.open(tmp_path / "file" / "folder")
    cache.put(KEY, table)
    cache.trim()
    assert cache.get(KEY) is None


def test_the_least_recently_used_go_when_there_is_too_much(
    folder: Path, table: UnwindTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = TableCache.open(folder)
    for name in ("old", "used", "new"):
        cache.put(name, table)
    size = (folder / "old").stat().st_size
    for age, name in enumerate(("new", "used", "old")):
        os.utime(folder / name, (1000 - age, 1000 - age))
    assert cache.get("used") == table
    monkeypatch.setattr("profiler.unwind.table_cache.MAX_TOTAL_BYTES", 2 * size)
    cache.trim()
    assert sorted(path.name for path in folder.iterdir()) == ["new", "used"]


def test_only_stale_leftovers_are_removed(folder: Path, table: UnwindTable) -> None:
    cache = TableCache.open(folder)
    cache.put(KEY, table)
    fresh, stale = folder / ".fresh.1.1", folder / ".stale.1.1"
    for path in (fresh, stale):
        path.write_text("half a table")
    long_ago = time.time() - STALE_AFTER_S - 1
    os.utime(stale, (long_ago, long_ago))
    cache.trim()
    assert fresh.exists()
    assert not stale.exists()
    assert cache.get(KEY) == table


def test_runs_at_once_see_whole_tables_only(folder: Path, table: UnwindTable) -> None:
    seen: list[UnwindTable | None] = []

    def write() -> None:
        cache = TableCache.open(folder)
        for _ in range(50):
            cache.put(KEY, table)

    def read() -> None:
        cache = TableCache.open(folder)
        seen.extend(cache.get(KEY) for _ in range(200))

    TableCache.open(folder).put(KEY, table)
    threads = [threading.Thread(target=one) for one in (write, write, read, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 400
    assert all(one == table for one in seen)
    assert [path.name for path in folder.iterdir()] == [KEY]


def test_the_key_depends_on_all_that_is_compiled() -> None:
    one = section()
    keys = {
        table_key((one,), RANGES),
        table_key((section(0x3000),), RANGES),
        table_key((one,), ((0x1000, 0x9001),)),
        table_key((CallFrameSection(one.data, one.address + 1),), RANGES),
        table_key((CallFrameSection(one.data, one.address, is_debug=True),), RANGES),
        table_key((CallFrameSection(one.data, one.address, ends_at_zero=True),), RANGES),
        table_key((one, one), RANGES),
        table_key((one,), RANGES, ends_in_leaves=True),
    }
    assert len(keys) == 8
    assert table_key((section(),), RANGES) in keys


def test_root_and_users_have_folders_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_directory() == Path("/var/cache/ebpf-prof")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_CACHE_HOME", "/home/operator/kept")
    assert default_directory() == Path("/home/operator/kept/ebpf-prof")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/operator")
    assert default_directory() == Path("/home/operator/.cache/ebpf-prof")
