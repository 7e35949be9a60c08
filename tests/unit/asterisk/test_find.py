from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from profiler.asterisk.find import find_asterisk, find_candidates, is_console
from profiler.errors import PrivilegeError, TargetError
from profiler.process.procfs import INITIAL_PID_NAMESPACE
from tests.unit.fake_asterisk import build, start

ID = "0123456789abcdef" * 4


@pytest.fixture(scope="module")
def asterisk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("asterisk"))


class FakeProc:
    """A /proc of chosen processes."""

    def __init__(self, root: Path, pid_namespace: str = INITIAL_PID_NAMESPACE) -> None:
        self.root = root
        (root / "stat").write_text("cpu 1 2 3\nbtime 1700000000\n")
        (root / "self/ns").mkdir(parents=True)
        (root / "self/ns/pid").symlink_to(pid_namespace)

    def add(
        self,
        pid: int,
        exe: Path | str | None,
        *command: str,
        name: str = "asterisk",
        state: str = "S",
        parent: int = 1,
        flags: int = 0,
        thread_group: int | None = None,
        inner: str = "",
        cgroup: str = "0::/\n",
    ) -> None:
        folder = self.root / str(pid)
        folder.mkdir()
        (folder / "root").symlink_to("/")
        (folder / "comm").write_text(name + "\n")
        (folder / "stat").write_text(
            f"{pid} ({name}) {state} {parent} 0 0 0 0 {flags} 0 0 0 0 1 2 0 0 20 0 1 0 {pid}00 0\n"
        )
        (folder / "status").write_text(
            f"Tgid:\t{thread_group or pid}\nNSpid:\t{pid}{inner}\n"
            "Uid:\t107\t107\t107\t107\nSeccomp:\t2\n"
        )
        (folder / "cmdline").write_bytes(b"".join(word.encode() + b"\0" for word in command))
        (folder / "cgroup").write_text(cgroup)
        if exe is not None:
            (folder / "exe").symlink_to(exe)


@pytest.fixture
def proc(tmp_path: Path) -> FakeProc:
    return FakeProc(tmp_path)


def test_finds_the_one_server_among_everything_else(proc: FakeProc, asterisk: Path) -> None:
    proc.add(2, None, name="kthreadd", flags=0x200000)
    proc.add(10, "/bin/sh", "/bin/sh", "/usr/sbin/safe_asterisk", name="safe_asterisk")
    proc.add(11, asterisk, "/usr/sbin/asterisk", "-f", "-U", "rosa", cgroup=f"0::/docker/{ID}\n")
    proc.add(12, asterisk, "/usr/sbin/asterisk", "-f", parent=11)  # forked, before its exec
    proc.add(13, asterisk, "asterisk", "-rx", "core show channels")
    proc.add(14, asterisk, "/usr/sbin/rasterisk", name="rasterisk")
    proc.add(15, "/bin/sh", "asterisk-report", name="asterisk-report")
    proc.add(16, asterisk, "asterisk", state="Z")

    found = find_asterisk(None, proc.root)

    assert found.pid == 11
    assert found.build.version == "16.28.0~test-1"
    assert found.process.seccomp_mode == 2
    recorded = found.recorded(exited=True)
    assert recorded.pid == 11
    assert recorded.exe == str(asterisk)
    assert recorded.build_id == found.build.build_id
    assert recorded.command_line == ("/usr/sbin/asterisk", "-f", "-U", "rosa")
    assert recorded.container_id == ID
    assert recorded.exited


def test_a_renamed_copy_is_found(proc: FakeProc, asterisk: Path, tmp_path: Path) -> None:
    copy = tmp_path / "asterisk7"
    shutil.copy(asterisk, copy)
    proc.add(11, copy, "x", name="pbx")

    assert find_asterisk(None, proc.root).pid == 11


def test_namespaces_of_a_container(proc: FakeProc, asterisk: Path) -> None:
    proc.add(11, asterisk, "asterisk", inner="\t7")

    found = find_asterisk(None, proc.root)

    assert found.pid == 11
    assert found.process.namespace_pids == (11, 7)


def test_several_servers_are_listed(
    proc: FakeProc, asterisk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sysconf", lambda name: 100)
    proc.add(11, asterisk, "asterisk", "-f", cgroup=f"0::/docker/{ID}\n")
    proc.add(12, asterisk, "asterisk", "-C", "/etc/b\x1b[2J")

    with pytest.raises(TargetError) as caught:
        find_asterisk(None, proc.root)

    head, columns, first, second = caught.value.message.split("\n")
    assert head == "2 Asterisk processes are running:"
    assert columns.split() == ["PID", "STARTED", "CONTAINER", "COMMAND"]
    assert first.split()[0] == "11"
    assert first.split()[3:] == [ID[:12], "asterisk", "-f", f"[{asterisk}]"]
    assert second.split()[0] == "12"
    assert second.split()[3:] == ["-", "asterisk", "-C", "/etc/b\\x1b[2J", f"[{asterisk}]"]
    assert caught.value.hint == "pick one: ebpf-prof asterisk --pid 11"
    assert find_asterisk(12, proc.root).pid == 12


def expect(proc: FakeProc, pid: int | None) -> TargetError:
    with pytest.raises(TargetError) as caught:
        find_asterisk(pid, proc.root)
    assert caught.value.exit_code == 3
    return caught.value


def test_none_is_running(proc: FakeProc, asterisk: Path) -> None:
    proc.add(13, asterisk, "asterisk", "-r")
    error = expect(proc, None)
    assert error.message == "no running Asterisk was found"
    assert "--pid" in error.hint


@pytest.mark.parametrize("pid", [99, 0, -1])
def test_no_such_pid(proc: FakeProc, asterisk: Path, pid: int) -> None:
    proc.add(11, asterisk, "asterisk")
    error = expect(proc, pid)
    assert error.message == f"no process has the pid {pid}"
    assert error.hint == "ebpf-prof asterisk --pid 11"


def test_the_pid_inside_a_container(proc: FakeProc, asterisk: Path) -> None:
    proc.add(11, asterisk, "asterisk", inner="\t7")
    assert expect(proc, 7).hint == (
        "7 is the pid inside the container of process 11: ebpf-prof asterisk --pid 11"
    )


def test_not_an_asterisk(proc: FakeProc, asterisk: Path) -> None:
    proc.add(11, asterisk, "asterisk")
    proc.add(10, "/bin/sh", "sh", name="safe_asterisk")
    error = expect(proc, 10)
    assert error.message == (
        "process 10 (safe_asterisk) is not an Asterisk: /bin/sh does not export __ao2_find"
    )
    assert error.hint == "ebpf-prof asterisk --pid 11"


def test_a_console_client(proc: FakeProc, asterisk: Path) -> None:
    proc.add(13, asterisk, "asterisk", "-rvvv")
    error = expect(proc, 13)
    assert error.message == "process 13 is a console client, not the server: asterisk -rvvv"
    assert error.hint == "find the process: pgrep -a asterisk"


def test_a_thread(proc: FakeProc, asterisk: Path) -> None:
    proc.add(11, asterisk, "asterisk")
    proc.add(18, asterisk, "asterisk", thread_group=11)
    error = expect(proc, 18)
    assert error.message == "18 is a thread of process 11, not a process"
    assert error.hint == "ebpf-prof asterisk --pid 11"


def test_a_zombie(proc: FakeProc) -> None:
    proc.add(11, None, state="Z")
    assert expect(proc, 11).message == "process 11 has ended and waits for its parent (zombie)"


def test_a_kernel_thread(proc: FakeProc) -> None:
    proc.add(2, None, name="kthreadd", flags=0x200040)
    assert expect(proc, 2).message == "2 is a thread of the kernel (kthreadd)"


def test_a_container_of_our_own(tmp_path: Path, asterisk: Path) -> None:
    proc = FakeProc(tmp_path, "pid:[4026532300]")
    proc.add(11, asterisk, "asterisk")
    with pytest.raises(PrivilegeError) as caught:
        find_asterisk(11, proc.root)
    assert "--pid=host" in caught.value.hint


@pytest.mark.parametrize(
    ("command", "console"),
    [
        ("asterisk -rx core", True),
        ("asterisk -x core", True),
        ("asterisk -vvvr", True),
        ("asterisk -R -s /run/x.ctl", True),
        ("asterisk -C /etc/r.conf -r", True),
        ("/usr/sbin/rasterisk", True),
        ("asterisk", False),
        ("asterisk -C /etc/r.conf", False),
        ("asterisk -C -r", False),
        ("asterisk -Crx.conf", False),
        ("asterisk -Urosa -Groot -f", False),
        ("asterisk -cvvvg -- -r", False),
        ("asterisk - r", False),
        ("", False),
    ],
)
def test_console_by_command_line(command: str, console: bool) -> None:
    assert is_console(command.split()) is console


@pytest.fixture
def running(asterisk: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = start(asterisk, "Fork")
    yield process
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for pid in (*map(int, children), process.pid):
        os.kill(pid, 9)
    process.wait()


def test_a_real_process_is_found_beside_its_forked_child(
    running: subprocess.Popen[bytes],
) -> None:
    found = [process.pid for process in find_candidates()]
    assert found.count(running.pid) == 1
    child = int(Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text())
    assert child not in found


def test_a_replaced_executable_is_still_read(tmp_path: Path) -> None:
    executable = build(tmp_path)
    process = start(executable)
    try:
        executable.unlink()
        executable.write_text("#!/bin/sh\n")
        found = find_asterisk(process.pid)
    finally:
        process.kill()
        process.wait()
    assert found.process.exe == str(executable)
    assert found.process.exe_deleted
    assert found.build.version == "16.28.0~test-1"


def test_a_real_zombie_and_a_real_thread() -> None:
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(TargetError, match="zombie"):
        find_asterisk(process.pid)
    process.wait()

    tids: list[int] = []
    done = threading.Event()

    def run() -> None:
        tids.append(threading.get_native_id())
        done.wait()

    thread = threading.Thread(target=run)
    thread.start()
    while not tids:
        pass
    try:
        with pytest.raises(TargetError, match=f"{tids[0]} is a thread of process {os.getpid()}"):
            find_asterisk(tids[0])
    finally:
        done.set()
        thread.join()


@pytest.mark.root
@pytest.mark.parametrize(
    ("prefix", "said"),
    [
        ("setpriv --reuid=65534 --regid=65534 --clear-groups", "sudo ebpf-prof asterisk --pid "),
        ("unshare --pid --fork --mount-proc", "process ids of its own"),
    ],
    ids=["another user", "pid namespace"],
)
def test_who_cannot_see_all_processes_reads_so(
    running: subprocess.Popen[bytes], prefix: str, said: str
) -> None:
    code = (
        "from profiler.asterisk.find import find_asterisk\n"
        "from profiler.errors import PrivilegeError\n"
        "try: find_asterisk(None)\n"
        "except PrivilegeError as error: print(error.message, error.hint)"
    )
    result = subprocess.run(
        [*prefix.split(), "/usr/bin/python3", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    assert said in result.stdout


@pytest.mark.root
def test_a_process_in_other_pid_and_mount_namespaces(asterisk: Path) -> None:
    process = start("unshare", "--pid", "--mount", "--fork", "--kill-child", asterisk, "-f")
    try:
        child = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())
        found = find_asterisk(child)
    finally:
        process.kill()
        process.wait()
    assert found.pid == child
    assert found.process.namespace_pids[-1] == 1
    assert found.build.version == "16.28.0~test-1"
