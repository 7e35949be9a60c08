"""Whom files belong to that root writes: the user who called sudo."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

_ID_MAX = 2**32 - 2  # uid_t and gid_t; the last value means "leave unchanged" to chown


@dataclass(frozen=True, slots=True)
class Owner:
    """Whom the output belongs to."""

    uid: int
    gid: int


def find_owner(environ: Mapping[str, str], effective_uid: int) -> Owner | None:
    """Return the user behind sudo, or None when the output already belongs to the right user."""
    if effective_uid != 0:
        return None
    uid, gid = environ.get("SUDO_UID", ""), environ.get("SUDO_GID", "")
    if not all(text.isascii() and text.isdigit() and len(text) <= 10 for text in (uid, gid)):
        return None
    owner = Owner(int(uid), int(gid))
    return owner if max(owner.uid, owner.gid) <= _ID_MAX else None


def hand_over(descriptor: int, mode: int, owner: Owner | None) -> None:
    """Set mode and owner of what was just created; the umask does not count."""
    os.fchmod(descriptor, mode)
    if owner is not None:
        os.fchown(descriptor, owner.uid, owner.gid)
