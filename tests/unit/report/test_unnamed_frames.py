from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.model.profile import UnnamedFile
from profiler.model.recording import Frame, MappedFile, Recording, Sample, Stack
from profiler.report.unnamed_frames import unnamed_files, unnamed_ratio
from tests.examples import recording

FILES = (MappedFile("/asterisk", "ab"), MappedFile("/libc", None), MappedFile("[kernel]", None))


def frame(address: int, file: int | None, symbol: str | None = None) -> Frame:
    return Frame(address, file, address, None, symbol, symbol and "symtab")


def recorded(*samples: int) -> Recording:
    """Return a recording of samples with these stacks."""
    frames = (
        frame(0, 0),
        frame(1, 0),
        frame(2, 1),
        frame(3, 0, "main"),
        frame(4, 2),
        frame(5, None),
    )
    stacks = (
        Stack((0, 1, 3), 0, None),
        Stack((4, 2, 0, 3), 1, None),
        Stack((3,), 0, None),
        Stack((5, 3), 0, None),
    )
    return replace(
        recording(),
        files=FILES,
        frames=frames,
        stacks=stacks,
        samples=tuple(Sample(at, 1, stack) for at, stack in enumerate(samples)),
    )


def test_a_sample_counts_once_for_each_file_in_it() -> None:
    assert unnamed_files(recorded(0, 1, 2, 2)) == (
        UnnamedFile("/asterisk", "ab", 0.5),
        UnnamedFile("/libc", None, 0.25),
    )


def test_frames_of_no_file_and_of_the_kernel_are_of_no_file_that_could_be_named() -> None:
    assert unnamed_files(recorded(3)) == ()
    assert [file.path for file in unnamed_files(recorded(1))] == ["/asterisk", "/libc"]


def test_the_share_is_one_of_the_users_frames() -> None:
    assert unnamed_ratio(recorded(0, 1, 2, 2)) == pytest.approx(4 / 8)
    assert unnamed_ratio(recorded()) is None
    assert unnamed_files(recorded()) == ()
