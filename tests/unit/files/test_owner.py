from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from profiler.files.owner import Owner, find_owner, hand_over


@pytest.mark.parametrize(
    ("environ", "effective_uid", "owner"),
    [
        ({"SUDO_UID": "1000", "SUDO_GID": "1001"}, 0, Owner(1000, 1001)),
        ({"SUDO_UID": "1000", "SUDO_GID": "1001"}, 1000, None),
        ({}, 0, None),
        ({"SUDO_UID": "1000"}, 0, None),
        ({"SUDO_UID": "-1", "SUDO_GID": "0"}, 0, None),
        ({"SUDO_UID": "4294967295", "SUDO_GID": "0"}, 0, None),
        ({"SUDO_UID": "²", "SUDO_GID": "0"}, 0, None),
        ({"SUDO_UID": "9" * 5_000, "SUDO_GID": "0"}, 0, None),
    ],
)
def test_the_owner_is_the_user_behind_sudo(environ, effective_uid: int, owner) -> None:
    assert find_owner(environ, effective_uid) == owner


def test_what_is_handed_over_has_its_mode_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        descriptor = os.open(tmp_path / "x", os.O_CREAT | os.O_WRONLY)
    finally:
        os.umask(old)
    hand_over(descriptor, 0o644, Owner(os.getuid(), os.getgid()))
    os.close(descriptor)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o644
