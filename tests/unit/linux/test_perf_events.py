from __future__ import annotations

import ctypes
import errno
import os
import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from profiler.linux import perf_events


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Return what perf_event_open(2) is asked, which answers with descriptor 7."""
    asked: list[tuple[Any, ...]] = []

    def call(_number: int, attributes: Any, *rest: int) -> int:
        # struct perf_event_attr: type, size, config, sample_period, sample_type, read_format,
        # flags, wakeup_events, bp_type, config1, config2
        asked.append((*struct.unpack_from("<IIQQQQQIIQQ", attributes.raw), *rest))
        return 7

    monkeypatch.setattr(perf_events, "LIBC", SimpleNamespace(syscall=call))
    return asked


def test_a_cpu_clock_is_opened_for_a_cpu_or_a_thread(opened: list[tuple[Any, ...]]) -> None:
    assert perf_events.open_cpu_clock(10_101_010, cpu=3) == 7
    perf_events.open_cpu_clock(1_000, tid=42)
    # software events, CPU clock; disabled, exclude_idle, exclude_guest; PERF_FLAG_FD_CLOEXEC
    flags = 1 << 0 | 1 << 7 | 1 << 20
    assert opened == [
        (1, 120, 0, 10_101_010, 0, 0, flags, 1, 0, 0, 0, -1, 3, -1, 8),
        (1, 120, 0, 1_000, 0, 0, flags, 1, 0, 0, 0, 42, -1, -1, 8),
    ]


def test_mappings_of_code_are_reported_at_once_for_a_cpu(opened: list[tuple[Any, ...]]) -> None:
    assert perf_events.open_code_mappings(3) == 7
    # software events, dummy; mmap, watermark of one byte
    assert opened == [(1, 120, 9, 0, 0, 0, 1 << 8 | 1 << 14, 1, 0, 0, 0, -1, 3, -1, 8)]


@pytest.mark.parametrize("is_return", [False, True])
def test_a_uprobe_is_opened_for_one_process(
    opened: list[tuple[Any, ...]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    is_return: bool,
) -> None:
    (tmp_path / "type").write_text("9\n")
    monkeypatch.setattr(perf_events, "_UPROBE_PMU_TYPE", str(tmp_path / "type"))
    assert perf_events.open_uprobe("/bin/true", 0x1234, 42, is_return) == 7
    (asked,) = opened
    assert asked[:3] == (9, 120, int(is_return))
    assert asked[6] == 1  # disabled
    assert asked[10:] == (0x1234, 42, -1, -1, 8)


def test_a_refusal_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        ctypes.set_errno(errno.EACCES)
        return -1

    monkeypatch.setattr(perf_events, "LIBC", SimpleNamespace(syscall=refuse))
    with pytest.raises(PermissionError, match=os.strerror(errno.EACCES)):
        perf_events.open_cpu_clock(1_000)
