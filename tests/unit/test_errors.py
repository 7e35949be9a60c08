from __future__ import annotations

import os

import pytest

from profiler.errors import PrivilegeError, refused


@pytest.mark.parametrize(
    ("user", "hint"),
    [
        (1000, "sudo ebpf-prof asterisk --pid 4711"),
        (0, "sudo dmesg | grep -iE 'denied|lockdown|avc'"),
    ],
)
def test_what_root_may_not_read_is_not_mended_by_sudo(
    user: int, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    error = refused("the memory map", 4711)
    assert isinstance(error, PrivilegeError)
    assert (error.message, error.hint) == (
        "the memory map of process 4711 may not be read",
        hint,
    )
