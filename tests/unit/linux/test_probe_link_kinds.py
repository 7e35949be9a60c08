from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from profiler.linux import bpf, probe_link_kinds
from profiler.linux.probe_link_kinds import ProbeLinkKind, probe_link_errno


@pytest.fixture(autouse=True)
def not_yet_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EBPF_PROF_CACHE", "")
    probe_link_errno.cache_clear()


@pytest.mark.root
@pytest.mark.parametrize("kind", ProbeLinkKind)
def test_a_trial_leaves_nothing_open(kind: ProbeLinkKind) -> None:
    before = sorted(Path("/proc/self/fd").iterdir())
    probe_link_errno(kind)
    assert sorted(Path("/proc/self/fd").iterdir()) == before


@pytest.mark.root
def test_single_probes_are_always_there() -> None:
    assert probe_link_errno(ProbeLinkKind.SINGLE) == 0


@pytest.mark.root
def test_loading_is_no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels before 6.6 load programs of any attach type and refuse the link."""

    def refuse(*_: object) -> int:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(bpf, "link_uprobes", refuse)
    assert probe_link_errno(ProbeLinkKind.MULTI) == errno.EINVAL
    assert probe_link_errno(ProbeLinkKind.SINGLE) == 0


@pytest.mark.root
def test_links_that_miss_other_threads_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of Linux 6.6 do: here the link is of another process."""
    other = os.getppid()
    open_link = bpf.link_uprobes

    def link(program: int, kind: int, path: str, places: object, _pid: int, ret: bool) -> int:
        return open_link(program, kind, path, places, other, ret)  # type: ignore[arg-type]

    monkeypatch.setattr(bpf, "link_uprobes", link)
    if probe_link_errno(ProbeLinkKind.MULTI) == errno.EINVAL:
        return  # this kernel has no such links at all
    probe_link_errno.cache_clear()
    assert probe_link_errno(ProbeLinkKind.MULTI) == errno.EOPNOTSUPP


@pytest.mark.root
def test_each_kind_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    probe_link_errno(ProbeLinkKind.SINGLE)
    monkeypatch.setattr(probe_link_kinds, "_try_link", lambda _kind: pytest.fail("tried again"))
    assert probe_link_errno(ProbeLinkKind.SINGLE) == 0


@pytest.mark.root
@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_what_we_lack_says_nothing_of_the_kernel(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(_kind: ProbeLinkKind) -> None:
        raise OSError(number, "scarce")

    monkeypatch.setattr(probe_link_kinds, "_try_link", refuse)
    with pytest.raises(OSError, match="scarce"):
        probe_link_errno(ProbeLinkKind.MULTI)
