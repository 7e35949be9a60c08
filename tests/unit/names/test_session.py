from __future__ import annotations

import os

import pytest

from profiler.names.kallsyms import Kallsyms
from profiler.names.session import NamingSession
from profiler.process.target import TargetProcess

ADDRESS = 0xFFFFFFFF81335C00


@pytest.mark.parametrize(
    ("kernel", "name"),
    [(Kallsyms([ADDRESS], [b"__do_sys_uretprobe"]), "__do_sys_uretprobe"), (None, None)],
)
def test_the_kernels_names_are_read_once_when_it_shows_them_or_not(
    monkeypatch: pytest.MonkeyPatch, kernel: Kallsyms | None, name: str | None
) -> None:
    answers = iter((kernel,))
    monkeypatch.setattr("profiler.names.session.read_kallsyms", lambda: next(answers))
    session = NamingSession(TargetProcess.open(os.getpid(), 0), None)
    assert session.kernel_function(ADDRESS + 5) == name
    assert [frame.symbol for frame in session.frames((ADDRESS + 5,))] == [name]
    assert session.kernel_function(ADDRESS - 5) is None
