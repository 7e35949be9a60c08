"""What frames are called, and which of them say what a thread does. Pure.

A name as it is in a symbol table, one that was inferred with its leading `~`, else the file and
where the function begins: `asterisk+0x6db40`, which is the same in every run of the same build.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import PurePath

from profiler.model.recording import Frame

_MAX_NAME = 512  # characters; what the target calls its functions is not ours to trust
# Where every thread begins: the C library, Asterisk's wrapper (main/utils.c, dummy_start) and those
# of other libraries, known by their role (thread_main of pjlib's os_core_unix.c).
_COMMON_STARTS = frozenset(
    ("_start", "__libc_start_main", "__libc_start_call_main", "clone", "__clone", "clone3")
    + ("__clone3", "start_thread", "dummy_start", "generic_start_main", "start_routine")
)
_C_LIBRARIES = ("libc.so", "libc-2", "libpthread", "ld-linux", "ld-musl", "ld-2")


@lru_cache(maxsize=1 << 10)
def file_name(path: str) -> str:
    """Return the last part of a path of the target."""
    return PurePath(path).name or path


def frame_label(frame: Frame, path: str | None) -> str:
    """Return the name of a frame in the file at a path, if it is in one; never empty."""
    if frame.symbol:
        return frame.symbol[:_MAX_NAME]
    if path is None:
        return f"[unknown {frame.address:#x}]"
    name = file_name(path)[:_MAX_NAME]
    place = frame.function_offset if frame.function_offset is not None else frame.offset
    return name if place is None else f"{name}+{place:#x}"


def is_c_library(path: str) -> bool:
    """Return whether a file is the C library, or a part of it."""
    return file_name(path).startswith(_C_LIBRARIES)


def says_role(frame: Frame, path: str | None) -> bool:
    """Return whether a frame says more than that a thread begins."""
    if path is not None and is_c_library(path):
        return False
    return (frame.symbol or "").lstrip("~").partition("@")[0] not in _COMMON_STARTS


def role_label(frame: Frame, path: str | None) -> str:
    """Return what a thread runs that began in a frame: "do_monitor (chan_sip.so)"."""
    label = frame_label(frame, path)
    if frame.symbol is None or path is None or not path.endswith(".so"):
        return label
    return f"{label} ({file_name(path)})"
