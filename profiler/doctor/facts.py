"""What this machine and this process can do: every ability is tried, none is guessed by version.

Trying leaves nothing behind: descriptors are closed at once, and the only process that gets a
probe is our own.
"""

from __future__ import annotations

import errno
import importlib.util
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from profiler.errors import ProfilerError
from profiler.linux import bpf, perf_events
from profiler.linux.bcc import compile_programs
from profiler.linux.cpus import online_cpus
from profiler.linux.probe_link_kinds import (
    load_empty_program,
    open_own_probe,
)
from profiler.linux.task_registers import kernel_samples_have_stacks
from profiler.probes.attach import Variant, best_variant_here
from profiler.process.procfs import in_initial_pid_namespace, parse_status, read_text
from profiler.process.sockets.udp_sockets import UdpSockets
from profiler.process.threads import thread_exits

SYSTEM_PYTHON = "/usr/bin/python3"
_CLOCK_PERIOD_NS = 10_000_000
_OTHER_PYTHON_S = 10.0


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What was tried and read. An `_errno` is 0 when it worked; None is unknown or not tried."""

    machine: str
    kernel_release: str
    python: str  # path and version of the running one
    euid: int
    capabilities: int  # effective, bit by number
    seccomp_mode: int  # 0 none, 1 strict, 2 filter
    initial_pid_namespace: bool
    lockdown: str | None  # none, integrity, confidentiality
    perf_event_paranoid: int | None
    kptr_restrict: int | None
    bpf_errno: int  # loading a program
    uprobe_errno: int  # one perf event on our own process
    variant: Variant | None  # the best way to attach that is there
    cpu_clock_errno: int
    statistics_errno: int  # BPF_ENABLE_STATS
    has_btf: bool
    kernel_samples_have_stacks: bool
    bcc_path: str | None  # folder of the module `bcc`, whatever project it is of
    bcc_is_compiler: bool  # it is the BPF Compiler Collection
    bcc_elsewhere: bool  # the system's own Python has it
    compile_error: ProfilerError | None
    compile_tried: bool
    thread_ends_are_reported: bool
    udp_sockets: str | None  # None: asked of the kernel; else why not


def read_facts(compile_programs: Callable[[], None] | None = None) -> HostFacts:
    """Try everything. `compile_programs` compiles the BPF programs and raises ProfilerError."""
    status = parse_status(read_text(Path("/proc/self/status")))
    bcc_path, bcc_is_compiler = _find_bcc()
    tried = compile_programs is not None and bcc_is_compiler
    variant = best_variant_here()
    return HostFacts(
        machine=platform.machine(),
        kernel_release=platform.release(),
        python=f"{sys.executable} ({platform.python_version()})",
        euid=os.geteuid(),
        capabilities=int(status["CapEff"][0], 16),
        seccomp_mode=int(status.get("Seccomp", ("0",))[0]),
        initial_pid_namespace=in_initial_pid_namespace(),
        lockdown=read_lockdown(),
        perf_event_paranoid=_read_number("/proc/sys/kernel/perf_event_paranoid"),
        kptr_restrict=_read_number("/proc/sys/kernel/kptr_restrict"),
        bpf_errno=_errno_of(load_empty_program),
        # Who has found a way to attach has placed a probe on itself already.
        uprobe_errno=0 if variant else _errno_of(open_own_probe),
        variant=variant,
        cpu_clock_errno=_errno_of(
            lambda: perf_events.open_cpu_clock(_CLOCK_PERIOD_NS, cpu=online_cpus()[0])
        ),
        statistics_errno=_errno_of(bpf.enable_program_statistics),
        has_btf=Path("/sys/kernel/btf/vmlinux").exists(),
        kernel_samples_have_stacks=kernel_samples_have_stacks(),
        bcc_path=bcc_path,
        bcc_is_compiler=bcc_is_compiler,
        bcc_elsewhere=not bcc_is_compiler and _system_python_has_bcc(),
        compile_error=_error_of(compile_programs) if compile_programs and tried else None,
        compile_tried=tried,
        thread_ends_are_reported=bool(thread_exits.definitions()),
        udp_sockets=_why_sockets_are_not_asked(),
    )


def try_compiler() -> None:
    """Compile the BPF programs; raises ProfilerError."""
    compile_programs(("cpu.bpf.c",), {"WALK_ITERATOR": 0})


def parse_lockdown(text: str) -> str | None:
    """Return the chosen mode of /sys/kernel/security/lockdown, "none [integrity] ..."."""
    return next((word[1:-1] for word in text.split() if word[:1] == "["), None)


def read_lockdown() -> str | None:
    """Return the kernel's lockdown mode, None when it has none or does not say."""
    try:
        return parse_lockdown(read_text(Path("/sys/kernel/security/lockdown")))
    except OSError:
        return None


def _errno_of(attempt: Callable[[], int]) -> int:
    """Return 0 when the attempt gave a descriptor, else why it did not."""
    try:
        os.close(attempt())
    except OSError as error:
        return error.errno or errno.EIO
    return 0


def _error_of(attempt: Callable[[], None]) -> ProfilerError | None:
    try:
        attempt()
    except ProfilerError as error:
        return error
    return None


def _why_sockets_are_not_asked() -> str | None:
    sockets = UdpSockets(os.getpid())
    sockets.close()
    return sockets.warning


def _find_bcc() -> tuple[str | None, bool]:
    """Return where `import bcc` would go, and whether that is the compiler; it is not imported."""
    found = importlib.util.find_spec("bcc")
    folder = Path(found.origin).parent if found is not None and found.origin else None
    if folder is None:
        return None, False
    return str(folder), (folder / "libbcc.py").is_file()


def _system_python_has_bcc() -> bool:
    command = [SYSTEM_PYTHON, "-I", "-c", "import bcc; bcc.BPF"]
    try:
        result = subprocess.run(command, capture_output=True, timeout=_OTHER_PYTHON_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return result.returncode == 0


def _read_number(path: str) -> int | None:
    try:
        return int(read_text(Path(path)))
    except (OSError, ValueError):
        return None
