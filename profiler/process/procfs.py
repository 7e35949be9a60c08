"""What /proc says about one process: parsers that take text, and one reader of it all.

Fields are those of proc(5). What belongs to the process itself (its names, its command line) is
hostile: it is bounded and decoded with replacement characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")

# Inode of the initial pid namespace, PROC_PID_INIT_INO in linux/include/linux/proc_ns.h.
INITIAL_PID_NAMESPACE = "pid:[4026531836]"
# Task flag of a kernel thread, PF_KTHREAD in linux/include/linux/sched.h.
KERNEL_THREAD_FLAG = 0x00200000
# More than any status or cgroup file holds; a command line beyond it is cut.
READ_LIMIT_BYTES = 1 << 16
DELETED = " (deleted)"
ENDED_STATES = ("Z", "X", "x")
STOPPED_STATES = ("T", "t")  # by a signal, by a debugger

# A container runtime's 64 digits stand at the end of a path component, bare (docker and
# kubernetes on cgroup v1) or in a systemd scope (docker-ID.scope, libpod-ID.scope, crio-ID.scope).
_HEX_ID = re.compile(r"(?:^|[-:])([0-9a-f]{64})(?:\.scope)?$")
_LXC_NAME = re.compile(r"/lxc(?:\.payload\.|/)([^/]+)")
_MACHINE_NAME = re.compile(r"/machine-([^/]+)\.scope")


@dataclass(frozen=True, slots=True)
class Stat:
    """The fields of /proc/PID/stat that the profiler uses."""

    name: str
    state: str  # R, S, D, Z, T, ...
    parent_pid: int
    flags: int
    start_ticks: int  # clock ticks since boot; with the pid it identifies a process
    cpu_ticks: int  # that its threads used, ended ones included
    waited_ticks: int  # that children used which it has waited for, and theirs


@dataclass(frozen=True, slots=True)
class Process:
    """A process as /proc shows it. Unreadable fields are None."""

    pid: int
    stat: Stat
    thread_group: int  # the pid of the process that this id belongs to
    namespace_pids: tuple[int, ...]  # outermost visible first, the process's own view last
    seccomp_mode: int | None  # 0 none, 1 strict, 2 filter
    exe: str | None  # as the process sees it; None: kernel thread, zombie or not permitted
    exe_deleted: bool
    command_line: tuple[str, ...]
    container_id: str | None

    @property
    def kernel_thread(self) -> bool:
        """Return whether this is a thread of the kernel."""
        return bool(self.stat.flags & KERNEL_THREAD_FLAG)

    @property
    def ended(self) -> bool:
        """Return whether it has ended and only waits for its parent."""
        return self.stat.state in ENDED_STATES

    @property
    def stopped(self) -> bool:
        """Return whether somebody has stopped it, so that nothing of it runs."""
        return self.stat.state in STOPPED_STATES


def parse_stat(text: str) -> Stat:
    """Return the fields of /proc/PID/stat; the name may hold blanks and parentheses."""
    opening, closing = text.index("("), text.rindex(")")
    fields = text[closing + 1 :].split()
    return Stat(
        name=text[opening + 1 : closing],
        state=fields[0],
        parent_pid=int(fields[1]),
        flags=int(fields[6]),
        start_ticks=int(fields[19]),
        cpu_ticks=int(fields[11]) + int(fields[12]),
        waited_ticks=int(fields[13]) + int(fields[14]),
    )


def parse_status(text: str) -> dict[str, tuple[str, ...]]:
    """Return the fields of /proc/PID/status by name, each split at blanks."""
    pairs = (line.partition(":") for line in text.splitlines())
    return {key: tuple(value.split()) for key, colon, value in pairs if colon}


def parse_command_line(data: bytes) -> tuple[str, ...]:
    """Return the arguments of /proc/PID/cmdline."""
    words = data.decode(errors="replace").rstrip("\0")
    return tuple(words.split("\0")) if words else ()


def parse_container_id(cgroup: str) -> str | None:
    """Return the container that /proc/PID/cgroup names, None outside of one.

    64 hexadecimal digits for docker, podman, containerd and CRI-O, below kubernetes too; the
    container's name for LXC and systemd-nspawn.
    """
    for line in cgroup.splitlines():
        path = line.split(":", 2)[-1]
        for component in reversed(path.split("/")):
            if found := _HEX_ID.search(component):
                return found[1]
        if found := _LXC_NAME.search(path) or _MACHINE_NAME.search(path):
            return found[1]
    return None


def read_text(path: Path) -> str:
    """Return the first 64 KiB of a small file, undecodable bytes replaced."""
    return _read_bytes(path).decode(errors="replace")


def read_pids(proc: Path = PROC) -> Iterator[int]:
    """Yield the numbers that entries of a folder are named by, ascending."""
    yield from sorted(int(entry.name) for entry in proc.iterdir() if entry.name.isdigit())


def read_name(pid: int, proc: Path = PROC) -> str | None:
    """Return the name of the process's main thread, None when the process is gone."""
    try:
        return read_text(proc / str(pid) / "comm").rstrip("\n")
    except OSError:
        return None


def read_exe(pid: int, proc: Path = PROC) -> tuple[str | None, bool]:
    """Return the executable as the process sees it, and whether that file was deleted since."""
    try:
        path = str((proc / str(pid) / "exe").readlink())
        root = str((proc / str(pid) / "root").readlink())
    except OSError:
        return None, False
    if root != "/" and path.startswith(root + "/"):  # after chroot(2)
        path = path.removeprefix(root)
    return path.removesuffix(DELETED), path.endswith(DELETED)


def read_process(pid: int, proc: Path = PROC) -> Process | None:
    """Return what /proc says about a process or a thread; None when there is no such id."""
    folder = proc / str(pid)
    try:
        stat = parse_stat(read_text(folder / "stat"))
        status = parse_status(read_text(folder / "status"))
        command_line = parse_command_line(_read_bytes(folder / "cmdline"))
        container_id = parse_container_id(read_text(folder / "cgroup"))
    except (FileNotFoundError, ProcessLookupError):
        return None
    exe, exe_deleted = read_exe(pid, proc)
    seccomp = status.get("Seccomp", ())
    return Process(
        pid=pid,
        stat=stat,
        thread_group=int(status["Tgid"][0]),
        namespace_pids=tuple(int(inner) for inner in status.get("NSpid", (str(pid),))),
        seccomp_mode=int(seccomp[0]) if seccomp else None,
        exe=exe,
        exe_deleted=exe_deleted,
        command_line=command_line,
        container_id=container_id,
    )


def read_tids(pid: int, proc: Path = PROC) -> tuple[int, ...]:
    """Return the ids of the process's threads, ascending; () when it is gone."""
    try:
        return tuple(read_pids(proc / str(pid) / "task"))
    except OSError:
        return ()


def is_running(pid: int, start_ticks: int, proc: Path = PROC) -> bool:
    """Return whether the process that started then still runs: pids are used again."""
    try:
        stat = parse_stat(read_text(proc / str(pid) / "stat"))
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.start_ticks == start_ticks and stat.state not in ENDED_STATES


def read_image(pid: int, proc: Path = PROC) -> tuple[int, ...] | None:
    """Return numbers that change when the process calls exec, None when it is gone.

    Device and inode of the executable, and where code and stack lie (fields 26 and 28 of
    /proc/PID/stat), which address randomisation changes when the same file is executed again.
    """
    try:
        status = (proc / str(pid) / "exe").stat()
        fields = read_text(proc / str(pid) / "stat").rpartition(")")[2].split()
        return (status.st_dev, status.st_ino, int(fields[23]), int(fields[25]))
    except OSError:
        return None


def in_initial_pid_namespace(proc: Path = PROC) -> bool:
    """Return whether our process ids are the host's own; True where /proc does not say."""
    try:
        return str((proc / "self/ns/pid").readlink()) == INITIAL_PID_NAMESPACE
    except OSError:
        return True


def _read_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(READ_LIMIT_BYTES)
