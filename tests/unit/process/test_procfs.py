from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.process.procfs import (
    parse_command_line,
    parse_container_id,
    parse_stat,
    parse_status,
    read_pids,
    read_process,
)

ID = "0123456789abcdef" * 4


@given(st.text(alphabet=st.characters(exclude_characters="\0"), max_size=15))
def test_stat_of_any_name(name: str) -> None:
    fields = "S 17 2 3 0 -1 4194560 5 6 7 8 101 103 9 10 20 0 4 0 8675309 11"
    stat = parse_stat(f"42 ({name}) {fields}\n")

    assert (stat.name, stat.state, stat.parent_pid, stat.flags) == (name, "S", 17, 4194560)
    assert stat.start_ticks == 8675309
    assert (stat.cpu_ticks, stat.waited_ticks) == (204, 19)


def test_status_fields_are_split() -> None:
    status = parse_status("Name:\tasterisk\nNSpid:\t4711\t12\nUid:\t0\t107\t107\t107\nno field\n")

    assert status == {
        "Name": ("asterisk",),
        "NSpid": ("4711", "12"),
        "Uid": ("0", "107", "107", "107"),
    }


def test_command_line_keeps_empty_arguments_and_bad_bytes() -> None:
    assert parse_command_line(b"asterisk\0\0-x\0") == ("asterisk", "", "-x")
    assert parse_command_line(b"a\xff\0") == ("a\ufffd",)
    assert parse_command_line(b"") == ()


@pytest.mark.parametrize(
    ("cgroup", "container"),
    [
        (f"0::/system.slice/docker-{ID}.scope\n", ID),
        (f"12:pids:/docker/{ID}\n1:name=systemd:/docker/{ID}\n", ID),
        (f"0::/machine.slice/libpod-{ID}.scope/container\n", ID),
        (f"0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope\n", ID),
        (f"0::/kubepods/besteffort/pod8f/{ID}\n", ID),
        (f"0::/system.slice:cri-containerd:{ID}\n", ID),
        (f"0::/kubepods.slice/crio-{ID}.scope\n", ID),
        ("0::/lxc.payload.pbx1/system.slice/asterisk.service\n", "pbx1"),
        ("4:memory:/lxc/pbx1\n", "pbx1"),
        ("0::/machine.slice/machine-pbx.scope/payload\n", "pbx"),
        ("0::/system.slice/asterisk.service\n", None),
        (f"0::/user.slice/{ID[:40]}\n", None),
        ("", None),
    ],
)
def test_container_id(cgroup: str, container: str | None) -> None:
    assert parse_container_id(cgroup) == container


@given(st.text(max_size=200))
def test_container_id_of_any_text_is_none_or_a_part_of_it(cgroup: str) -> None:
    found = parse_container_id(cgroup)
    assert found is None or found in cgroup


def test_reads_itself() -> None:
    process = read_process(os.getpid())

    assert process is not None
    assert process.pid == process.thread_group == process.namespace_pids[-1]
    assert process.stat.parent_pid == os.getppid()
    assert process.exe == str(Path("/proc/self/exe").readlink())
    assert not process.exe_deleted
    assert not process.kernel_thread
    assert not process.ended
    assert os.getpid() in read_pids()


def test_reads_a_thread_as_part_of_its_process() -> None:
    seen: list[int] = []
    thread = threading.Thread(
        target=lambda: seen.append(read_process(threading.get_native_id()).thread_group)  # type: ignore[union-attr]
    )
    thread.start()
    thread.join()

    assert seen == [os.getpid()]


def test_an_id_that_nobody_has_is_none() -> None:
    assert read_process(2**22 + 1) is None
