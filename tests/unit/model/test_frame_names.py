from __future__ import annotations

import pytest

from profiler.model.frame_names import (
    file_name,
    frame_label,
    is_c_library,
    role_label,
    says_role,
)
from profiler.model.recording import Frame

ASTERISK, MODULE, LIBRARY = "/usr/sbin/asterisk", "/usr/lib/chan_sip.so", "/lib/libc.so.6"


def named(name: str | None) -> Frame:
    return Frame(0x5000, 0, 0x5678, 0x5600, name, None)


def test_what_frames_are_called() -> None:
    assert frame_label(named("do_monitor"), MODULE) == "do_monitor"
    assert frame_label(named(None), MODULE) == "chan_sip.so+0x5600"
    assert frame_label(named(None), None) == "[unknown 0x5000]"


def test_what_threads_are_called_by() -> None:
    assert role_label(named("do_monitor"), MODULE) == "do_monitor (chan_sip.so)"
    assert role_label(named("monitor"), ASTERISK) == "monitor"
    assert role_label(named(None), MODULE) == "chan_sip.so+0x5600"


@pytest.mark.parametrize(
    ("name", "path", "says"),
    [
        ("do_monitor", MODULE, True),
        (None, MODULE, True),
        ("poll", LIBRARY, False),
        ("dummy_start", ASTERISK, False),
        ("~start_routine@x", ASTERISK, False),
        ("start_it", None, True),
    ],
)
def test_who_says_what_a_thread_does(name: str | None, path: str | None, says: bool) -> None:
    assert says_role(named(name), path) is says


@pytest.mark.parametrize(
    ("path", "is_one"),
    [
        *[(f"/lib/{name}", True) for name in ("libc.so.6", "libc-2.31.so", "libpthread-2.31.so")],
        *[(f"/lib/{name}", True) for name in ("ld-linux-x86-64.so.2", "ld-musl-x86_64.so.1")],
        *[(f"/lib/{name}", False) for name in ("libcurl.so.4", "libcap.so.2", "asterisk")],
    ],
)
def test_files_of_the_c_library(path: str, is_one: bool) -> None:
    assert is_c_library(path) is is_one


@pytest.mark.parametrize(
    ("path", "name"),
    [("/usr/lib/chan_sip.so", "chan_sip.so"), ("[vdso]", "[vdso]"), ("/", "/"), ("", "")],
)
def test_files_are_called_by_the_last_part_of_their_path(path: str, name: str) -> None:
    assert file_name(path) == name
