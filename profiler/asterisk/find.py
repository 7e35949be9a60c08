"""Finds the Asterisk to profile and says what it is, without touching it.

A process is an Asterisk when its executable exports the functions that the profiler measures. The
short-lived console clients (`asterisk -r`, `asterisk -rx`, `rasterisk`) run the same executable:
their command line distinguishes them, also for Asterisk itself (main/asterisk.c, parse_options).
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from profiler.asterisk.build import DISTINCTIVE_SYMBOLS, AsteriskBuild, read_build
from profiler.binary.elf import Elf, ElfError
from profiler.errors import PrivilegeError, TargetError, refused
from profiler.model import recording
from profiler.process.procfs import (
    PROC,
    Process,
    in_initial_pid_namespace,
    read_exe,
    read_name,
    read_pids,
    read_process,
    read_text,
)

# Options of asterisk(8) that take a value, so that a value's letters are not read as options.
_OPTIONS_WITH_VALUE = "CeGLMsUx"
# -x implies -r (main/asterisk.c).
_CONSOLE_OPTIONS = "rRx"
_LISTED_COMMAND_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class FoundTarget:
    """The Asterisk to profile."""

    process: Process
    build: AsteriskBuild

    @property
    def pid(self) -> int:
        """The process id in the initial pid namespace: ours, /proc's and BPF's."""
        return self.process.pid

    def recorded(self, exited: bool) -> recording.Target:
        """Return what a recording keeps of the target."""
        return recording.Target(
            pid=self.pid,
            exe=self.process.exe or "",
            build_id=self.build.build_id,
            version=self.build.version,
            command_line=self.process.command_line,
            container_id=self.process.container_id,
            exited=exited,
        )


def find_asterisk(pid: int | None, proc: Path = PROC) -> FoundTarget:
    """Return the running Asterisk, or the one with this pid.

    TargetError when there is none, several, or the pid is not one; PrivilegeError when we may not
    look at it or are in a pid namespace of our own.
    """
    _require_initial_pid_namespace(proc)
    if pid is not None:
        return _describe(pid, proc)
    candidates = find_candidates(proc)
    if not candidates:
        raise TargetError(
            "no running Asterisk was found",
            "start Asterisk, or name its process: ebpf-prof asterisk --pid PID",
        )
    if len(candidates) > 1:
        raise TargetError(
            "\n".join(
                (f"{len(candidates)} Asterisk processes are running:", *_rows(candidates, proc))
            ),
            f"pick one: ebpf-prof asterisk --pid {candidates[0].pid}",
        )
    return _describe(candidates[0].pid, proc)


def find_candidates(proc: Path = PROC) -> tuple[Process, ...]:
    """Return the processes that are an Asterisk server, by pid.

    Console clients and children that a server forked but that have not called exec yet are left
    out. PrivilegeError when an executable may not be read.
    """
    named = (pid for pid in read_pids(proc) if _has_name(pid, proc))
    processes = [found for pid in named if (found := read_process(pid, proc)) is not None]
    servers = [
        process
        for process in processes
        if not process.ended
        and not is_console(process.command_line)
        and _build_of(process, proc) is not None
    ]
    pids = {process.pid for process in servers}
    return tuple(process for process in servers if process.stat.parent_pid not in pids)


def is_console(command_line: Sequence[str]) -> bool:
    """Return whether these are the arguments of a console client instead of a server."""
    if not command_line:
        return False
    if "rasterisk" in command_line[0]:
        return True
    arguments = iter(command_line[1:])
    for argument in arguments:
        if argument == "--":
            return False
        if not argument.startswith("-"):
            continue
        for index, letter in enumerate(argument[1:], 1):
            if letter in _CONSOLE_OPTIONS:
                return True
            if letter in _OPTIONS_WITH_VALUE:
                if index == len(argument) - 1:
                    next(arguments, None)
                break
    return False


def _describe(pid: int, proc: Path) -> FoundTarget:
    process = _require_process(pid, proc)
    build = _build_of(process, proc)
    if build is None:
        raise TargetError(
            f"process {pid} ({_printable(process.stat.name)}) is not an Asterisk: "
            f"{_printable(process.exe or '?')} does not export {DISTINCTIVE_SYMBOLS[0]}",
            _hint_at_servers(proc),
        )
    if is_console(process.command_line):
        raise TargetError(
            f"process {pid} is a console client, not the server: "
            + _printable(" ".join(process.command_line)),
            _hint_at_servers(proc),
        )
    again = read_process(pid, proc)
    if again is None or again.stat.start_ticks != process.stat.start_ticks or again.ended:
        raise TargetError(f"process {pid} ended while it was being looked at", "pgrep -a asterisk")
    return FoundTarget(process, build)


def _require_process(pid: int, proc: Path) -> Process:
    process = read_process(pid, proc) if pid > 0 else None
    if process is None:
        raise TargetError(f"no process has the pid {pid}", _hint_at_inner_pid(pid, proc))
    if process.thread_group != pid:
        raise TargetError(
            f"{pid} is a thread of process {process.thread_group}, not a process",
            f"ebpf-prof asterisk --pid {process.thread_group}",
        )
    if process.ended:
        raise TargetError(
            f"process {pid} has ended and waits for its parent (zombie)", _hint_at_servers(proc)
        )
    if process.kernel_thread:
        raise TargetError(
            f"{pid} is a thread of the kernel ({_printable(process.stat.name)})",
            _hint_at_servers(proc),
        )
    return process


def _build_of(process: Process, proc: Path) -> AsteriskBuild | None:
    """Return what the process's executable is, None for anything but an Asterisk."""
    try:
        descriptor = os.open(proc / str(process.pid) / "exe", os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError as error:
        raise refused("the executable", process.pid) from error
    except OSError:
        return None
    try:
        return read_build(Elf.from_fd(descriptor))
    except ElfError:
        return None
    finally:
        os.close(descriptor)


def _has_name(pid: int, proc: Path) -> bool:
    """Return whether the process may be an Asterisk by the name of its main thread or executable.

    Copies are found too (`asterisk16`, `asterisk-debug`); `safe_asterisk` and `astcanary` are not.
    """
    exe, _ = read_exe(pid, proc)
    names = (read_name(pid, proc) or "", Path(exe).name if exe else "")
    return any(name.startswith(("asterisk", "rasterisk")) for name in names)


def _require_initial_pid_namespace(proc: Path) -> None:
    if not in_initial_pid_namespace(proc):
        raise PrivilegeError(
            "ebpf-prof runs in a container with process ids of its own; BPF sees the host's",
            "run it on the host, or start this container with --pid=host --privileged",
        )


def _candidates_to_name(proc: Path) -> tuple[Process, ...]:
    try:
        return find_candidates(proc)
    except PrivilegeError:
        return ()


def _hint_at_servers(proc: Path) -> str:
    pids = [process.pid for process in _candidates_to_name(proc)]
    if not pids:
        return "find the process: pgrep -a asterisk"
    return " or ".join(f"ebpf-prof asterisk --pid {pid}" for pid in pids)


def _hint_at_inner_pid(pid: int, proc: Path) -> str:
    """Name the server that knows itself by this pid inside its container."""
    for process in _candidates_to_name(proc):
        if pid in process.namespace_pids[1:]:
            return (
                f"{pid} is the pid inside the container of process {process.pid}: "
                f"ebpf-prof asterisk --pid {process.pid}"
            )
    return _hint_at_servers(proc)


def _rows(processes: Sequence[Process], proc: Path) -> tuple[str, ...]:
    """Return one line for each process: pid, start, container, executable, command line."""
    head = f"  {'PID':>7}  {'STARTED':19}  {'CONTAINER':12}  COMMAND"
    booted_s = _read_boot_time_s(proc)
    return (head, *(_row(process, booted_s) for process in processes))


def _row(process: Process, booted_s: float) -> str:
    started_s = booted_s + process.stat.start_ticks / os.sysconf("SC_CLK_TCK")
    started = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(started_s))
    container = _printable(process.container_id or "-")[:12]
    exe = _printable(process.exe or "?") + (" (deleted)" if process.exe_deleted else "")
    command = _printable(" ".join(process.command_line))[:_LISTED_COMMAND_CHARACTERS]
    return f"  {process.pid:>7}  {started}  {container:12}  {command}  [{exe}]"


def _read_boot_time_s(proc: Path) -> float:
    lines = read_text(proc / "stat").splitlines()
    return next((float(line.split()[1]) for line in lines if line.startswith("btime ")), 0.0)


def _printable(text: str) -> str:
    """Return the text with control characters escaped: names come from other processes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
