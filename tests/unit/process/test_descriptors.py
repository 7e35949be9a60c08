from __future__ import annotations

import os
from pathlib import Path

from profiler.model.recording import Descriptors
from profiler.process.descriptors import OpenDescriptors, parse_limit

LIMITS = """Limit                     Soft Limit           Hard Limit           Units
Max processes             127                  128                  processes
Max open files            1024                 524288               files
Max locked memory         8388608              8388608              bytes
"""


def test_the_soft_limit_is_read() -> None:
    assert parse_limit(LIMITS) == 1_024
    assert parse_limit(LIMITS.replace("1024  ", "unlimited")) is None
    assert parse_limit("") is None


def fake(tmp_path: Path, count: int) -> Path:
    folder = tmp_path / "7"
    (folder / "fd").mkdir(parents=True, exist_ok=True)
    (folder / "limits").write_text(LIMITS)
    for number in range(count):
        (folder / "fd" / str(number)).touch()
    return folder


def test_the_most_that_were_open_are_kept(tmp_path: Path) -> None:
    found = OpenDescriptors(os.getpid())
    before = found.recorded()
    files = [(tmp_path / str(number)).open("w") for number in range(50)]
    found.count()
    for file in files:
        file.close()
    found.count()
    after = found.recorded()
    assert before is not None and after is not None
    assert after.open_max == before.open_max + 50


def test_a_process_that_ended_is_not_known(tmp_path: Path) -> None:
    found = OpenDescriptors(7, tmp_path)
    found.sample()
    assert found.recorded() is None


def test_what_was_known_of_a_process_that_ends_stays(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("profiler.process.descriptors._size", lambda _: 0)
    folder = fake(tmp_path, 5)
    found = OpenDescriptors(7, tmp_path)
    (folder / "limits").unlink()
    for file in (folder / "fd").iterdir():
        file.unlink()
    (folder / "fd").rmdir()
    found.count()
    assert found.recorded() == Descriptors(5, 1_024)


def test_an_old_kernel_is_asked_at_the_start_and_the_end(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("profiler.process.descriptors._size", lambda _: 0)
    fake(tmp_path, 3)
    found = OpenDescriptors(7, tmp_path)
    fake(tmp_path, 9)
    found.sample()
    assert found.recorded() == Descriptors(3, 1_024)
    found.count()
    assert found.recorded() == Descriptors(9, 1_024)
