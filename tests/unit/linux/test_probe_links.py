"""Links are opened all or none, and closed together."""

from __future__ import annotations

import errno
import os
import threading
from dataclasses import dataclass

import pytest

from profiler.linux import probe_links
from profiler.linux.probe_links import ProbeLinks


@dataclass
class Fake:
    number: int
    error: int = 0

    def open(self) -> int:
        if self.error:
            raise OSError(self.error, "refused")
        return self.number


def test_the_kernel_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each close takes as long as the kernel waits, so the second begins during the first."""
    begun: list[int] = []
    second = threading.Event()

    def close(link: int) -> None:
        begun.append(link)
        if link == 1:
            second.set()
        else:
            assert second.wait(60)

    monkeypatch.setattr(os, "close", close)
    monkeypatch.setattr(
        probe_links, "_HEAD_START_S", 1.0
    )  # else a busy machine may forget the first one
    kept = ProbeLinks()
    kept.attach([Fake(1), Fake(2)])  # type: ignore[list-item]
    kept.detach()
    assert begun == [2, 1]
    kept.detach()
    assert begun == [2, 1]


def test_after_a_refusal_none_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[int] = []
    monkeypatch.setattr(os, "close", closed.append)
    kept = ProbeLinks()
    with pytest.raises(OSError, match="refused") as caught:
        kept.attach([Fake(1), Fake(2, errno.EINVAL), Fake(3)])  # type: ignore[list-item]
    assert caught.value.errno == errno.EINVAL
    assert closed == [1]
