"""The machine that a recording is made on."""

from __future__ import annotations

import importlib.util
import os
import re
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from profiler.linux.cpus import online_cpus
from profiler.model.recording import Host

_VERSION = re.compile(r"""^__version__ = ['"]([\w.+~-]+)['"]""", re.MULTILINE)


def read_host(started_at: str) -> Host | None:
    """Return what this machine says of itself; None where it may not be asked, as in a sandbox.

    `started_at` is in UTC, as recordings have it.
    """
    try:
        machine = os.uname()
    except OSError:
        return None
    local = datetime.fromisoformat(started_at.replace("Z", "+00:00")).astimezone()
    return Host(
        name=machine.nodename,
        kernel_release=machine.release,
        cpus=len(online_cpus()),
        bcc_version=_bcc_version(),
        local_time=local.isoformat(),
        time_zone=local.tzname() or time.tzname[0],
    )


def _bcc_version() -> str | None:
    """Return what BCC says in a file of its own: importing it takes long, and a cache spares it."""
    with suppress(OSError, ValueError):
        found = importlib.util.find_spec("bcc")
        if found is not None and found.origin:
            return parse_version(Path(found.origin).with_name("version.py").read_text())
    return None


def parse_version(text: str) -> str | None:
    """Return the version that a `version.py` sets."""
    match = _VERSION.search(text)
    return match[1] if match else None
