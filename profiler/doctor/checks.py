"""Says whether this host can run the profiler, and the exact command that helps where it cannot.

Pure: it judges what facts.py gathered. The first failed check is what `ebpf-prof asterisk`
stops with; `ebpf-prof doctor` prints them all.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from dataclasses import dataclass

from profiler.doctor.facts import SYSTEM_PYTHON, HostFacts
from profiler.errors import REFUSALS, KernelError, PrivilegeError, ProfilerError
from profiler.linux.probe_link_kinds import ProbeLinkKind
from profiler.linux.task_registers import KERNEL_SAMPLES_LACK_STACKS
from profiler.probes.attach import LONG_WALKS_NEED, SHORT_WALKS

OK, WARNING, FAILED = "ok", "warning", "failed"

_SUDO = "sudo ebpf-prof asterisk"
_CONTAINER = "docker run --privileged --pid=host ..., or run it on the host"
_INSTALL_BCC = "sudo apt install python3-bpfcc"
_WITH_BTF = "grep DEBUG_INFO_BTF /boot/config-$(uname -r), and boot a kernel that has it"
# Bits of linux/include/uapi/linux/capability.h: what each is for is in the man page.
_DAC_OVERRIDE, _DAC_READ_SEARCH, _SYS_PTRACE, _SYS_ADMIN = 1, 2, 19, 21
_SYSLOG, _PERFMON, _BPF, _CHECKPOINT_RESTORE = 34, 38, 39, 40
_WITHOUT_ADMIN = "sudo sysctl kernel.bpf_stats_enabled=1"
_NOT_PERMITTED = (errno.EPERM, errno.EACCES)


@dataclass(frozen=True, slots=True)
class Check:
    """One ability. `hint` is a command; `error` is what its absence is, None unless it failed."""

    name: str
    state: str  # ok, warning, failed
    detail: str
    hint: str = ""
    error: type[ProfilerError] | None = None


def checks(facts: HostFacts) -> tuple[Check, ...]:
    """Judge the facts: what is required first, in the order that explains what follows from it."""
    return (
        _machine(facts),
        _privileges(facts),
        _pid_namespace(facts),
        _lockdown(facts),
        _bpf(facts),
        _uprobes(facts),
        _cpu_clock(facts),
        _bcc(facts),
        _compiler(facts),
        _links(facts),
        _statistics(facts),
        _long_chains(facts),
        _btf(facts),
        _kernel_stacks(facts),
        _thread_ends(facts),
        _kernel_symbols(facts),
        _udp_sockets(facts),
    )


def require(found: Iterable[Check]) -> None:
    """Raise the error of the first failed check."""
    for check in found:
        if check.error is not None:
            raise check.error(check.detail, check.hint)


def exit_code(found: Iterable[Check]) -> int:
    """Return the exit code of the first failed check, 0 when all is well."""
    return next((check.error.exit_code for check in found if check.error is not None), 0)


def _machine(facts: HostFacts) -> Check:
    detail = f"Linux {facts.kernel_release} on {facts.machine}"
    if facts.machine == "x86_64":
        return Check("machine", OK, detail)
    return _failed("machine", f"{detail}: only x86-64 is supported", "", KernelError)


def _has(facts: HostFacts, capability: int) -> bool:
    return bool(facts.capabilities >> capability & 1)


def _missing_capabilities(facts: HostFacts) -> list[str]:
    """Return what we may not do; CAP_SYS_ADMIN stands for those that were split off it."""
    is_admin = _has(facts, _SYS_ADMIN)
    wanted = {
        "CAP_BPF": _has(facts, _BPF) or is_admin,
        "CAP_PERFMON": _has(facts, _PERFMON) or is_admin,
        "CAP_SYS_PTRACE": _has(facts, _SYS_PTRACE),
        # Of /proc/PID/map_files: its links, and the folder of another user.
        "CAP_CHECKPOINT_RESTORE": _has(facts, _CHECKPOINT_RESTORE) or is_admin,
        "CAP_DAC_READ_SEARCH": _has(facts, _DAC_READ_SEARCH) or _has(facts, _DAC_OVERRIDE),
        # The statistics of programs, unless a sysctl has them on.
        "CAP_SYS_ADMIN": is_admin or facts.statistics_errno == 0,
    }
    return [name for name, held in wanted.items() if not held]


def _privileges(facts: HostFacts) -> Check:
    missing = _missing_capabilities(facts)
    if not missing:
        return Check("privileges", OK, f"user {facts.euid} with all that is needed")
    if facts.euid != 0 and not _has(facts, _BPF):
        return _failed("privileges", "not root", _SUDO, PrivilegeError)
    who = "root" if facts.euid == 0 else f"user {facts.euid}"
    return _failed(
        "privileges",
        f"{who} without {', '.join(missing)}: a container or a service took them away",
        _WITHOUT_ADMIN if missing == ["CAP_SYS_ADMIN"] else _CONTAINER,
        PrivilegeError,
    )


def _pid_namespace(facts: HostFacts) -> Check:
    if facts.initial_pid_namespace:
        return Check("process ids", OK, "the host's own")
    return _failed(
        "process ids",
        "this container has process ids of its own, BPF sees the host's",
        _CONTAINER,
        PrivilegeError,
    )


def _lockdown(facts: HostFacts) -> Check:
    if facts.lockdown == "confidentiality":
        return _failed(
            "lockdown",
            "the kernel is locked down to confidentiality and lets no BPF program read memory",
            "boot with lockdown=integrity, or without lockdown= on the kernel's command line",
            PrivilegeError,
        )
    return Check("lockdown", OK, facts.lockdown or "none that the kernel reports")


def _bpf(facts: HostFacts) -> Check:
    return _syscall(facts, "bpf", "bpf(2)", facts.bpf_errno, "programs can be loaded")


def _uprobes(facts: HostFacts) -> Check:
    if facts.uprobe_errno in (errno.ENOENT, errno.ENODEV):
        return _failed(
            "uprobes",
            "this kernel has no uprobes (CONFIG_UPROBE_EVENTS)",
            "grep UPROBE /boot/config-$(uname -r), and boot a distribution's kernel",
            KernelError,
        )
    ok = "a probe can be set on a process"
    return _syscall(facts, "uprobes", "perf_event_open(2)", facts.uprobe_errno, ok)


def _cpu_clock(facts: HostFacts) -> Check:
    if facts.cpu_clock_errno in (errno.ENOENT, errno.EOPNOTSUPP):
        return _failed(
            "sampling",
            "this kernel has no software perf events (CONFIG_PERF_EVENTS)",
            "grep PERF_EVENTS /boot/config-$(uname -r)",
            KernelError,
        )
    paranoid = facts.perf_event_paranoid  # does not bind who holds CAP_PERFMON
    ok = f"a thread's CPU time can be sampled (perf_event_paranoid {paranoid})"
    return _syscall(facts, "sampling", "perf_event_open(2)", facts.cpu_clock_errno, ok)


def _syscall(facts: HostFacts, name: str, call: str, number: int, ok: str) -> Check:
    """Judge an attempt at a system call: who stands in its way, the kernel or somebody before."""
    if number == 0:
        return Check(name, OK, ok)
    reason = os.strerror(number)
    if number in _NOT_PERMITTED and _missing_capabilities(facts):
        hint = _SUDO if facts.euid != 0 else _CONTAINER
        return _failed(name, f"{call} is not permitted: see privileges", hint, PrivilegeError)
    if number in (*_NOT_PERMITTED, errno.ENOSYS) and facts.seccomp_mode:
        return _failed(
            name,
            f"a seccomp filter denies {call} ({reason})",
            "docker run --security-opt seccomp=unconfined ..., or run it on the host",
            PrivilegeError,
        )
    if number == errno.ENOSYS:
        return _failed(
            name,
            f"this kernel has no {call}",
            f"grep -E 'BPF|PERF_EVENTS' /boot/config-{facts.kernel_release}",
            KernelError,
        )
    if number in _NOT_PERMITTED:
        return _failed(
            name,
            f"a security module denies {call} ({reason})",
            REFUSALS,
            PrivilegeError,
        )
    return _failed(name, f"{call} fails: {reason}", "sudo dmesg | tail", KernelError)


def _bcc(facts: HostFacts) -> Check:
    if facts.bcc_is_compiler:
        return Check("BCC", OK, facts.bcc_path or "")
    if facts.bcc_elsewhere:
        detail = f"BCC is there for {SYSTEM_PYTHON}, but not for {facts.python}"
        hint = (
            f"sudo {SYSTEM_PYTHON} -m venv --system-site-packages /opt/ebpf-prof && sudo "
            "/opt/ebpf-prof/bin/pip install . (in a clone of ebpf-prof)"
        )
        if facts.bcc_path:
            detail = f"the module bcc in {facts.bcc_path} is another project and hides BCC"
            hint = "pip uninstall bcc"
    elif facts.bcc_path:
        detail = f"the module bcc in {facts.bcc_path} is another project of that name"
        hint = f"pip uninstall bcc; {_INSTALL_BCC}"
    else:
        detail = f"BCC is not installed for {facts.python}"
        hint = f"{_INSTALL_BCC} (it serves {SYSTEM_PYTHON})"
    return _failed("BCC", detail, hint, KernelError)


def _compiler(facts: HostFacts) -> Check:
    if facts.compile_error is not None:
        error = facts.compile_error
        return _failed("compiler", error.message, error.hint, type(error))
    if not facts.compile_tried:
        return Check("compiler", WARNING, "not tried")
    return Check("compiler", OK, "the BPF programs compile, no kernel headers needed")


def _links(facts: HostFacts) -> Check:
    if facts.bpf_errno or facts.uprobe_errno:
        return Check("uprobe links", WARNING, "not tried: see bpf and uprobes")
    if facts.variant is None:
        return _failed(
            "uprobe links",
            "this kernel lets no probe run a program",
            "grep -E 'BPF_EVENTS|UPROBE' /boot/config-$(uname -r)",
            KernelError,
        )
    if facts.variant.links is ProbeLinkKind.SINGLE:
        return Check("uprobe links", OK, "probes attach one by one (before Linux 6.6)")
    return Check("uprobe links", OK, "many probes attach at once")


def _btf(facts: HostFacts) -> Check:
    if facts.has_btf:
        return Check("BTF", OK, "the kernel describes its types")
    return Check("BTF", WARNING, "none: the lines around say what is lost", _WITH_BTF)


def _long_chains(facts: HostFacts) -> Check:
    if facts.variant is None:
        return Check("long chains", WARNING, "not tried: see uprobe links")
    if facts.variant.iterator:
        return Check("long chains", OK, "followed for 2,000,000 nodes")
    short = f"followed for {SHORT_WALKS}, anew at each lookup; {LONG_WALKS_NEED}"
    return Check("long chains", OK, short)


def _kernel_stacks(facts: HostFacts) -> Check:
    if facts.kernel_samples_have_stacks:
        return Check("kernel stacks", OK, "samples in the kernel have the user's stack too")
    return Check("kernel stacks", WARNING, KERNEL_SAMPLES_LACK_STACKS, _WITH_BTF)


def _thread_ends(facts: HostFacts) -> Check:
    if facts.thread_ends_are_reported:
        return Check("thread ends", OK, "reported when the kernel frees threads")
    lost = "not reported: threads that live for less than 0.2 s have no CPU time"
    return Check("thread ends", WARNING, lost, "" if facts.has_btf else _WITH_BTF)


def _udp_sockets(facts: HostFacts) -> Check:
    if facts.udp_sockets is None:
        return Check("UDP sockets", OK, "asked of sock_diag")
    return Check("UDP sockets", WARNING, facts.udp_sockets)


def _statistics(facts: HostFacts) -> Check:
    if facts.bpf_errno:
        return Check("cost", WARNING, "not tried: see bpf")
    ok = "the kernel measures what BPF programs take"
    return _syscall(facts, "cost", "BPF_ENABLE_STATS of bpf(2)", facts.statistics_errno, ok)


def _kernel_symbols(facts: HostFacts) -> Check:
    if facts.kptr_restrict == 2:
        return Check(
            "kernel symbols",
            WARNING,
            "hidden by kernel.kptr_restrict=2: kernel frames have no names",
            "sudo sysctl kernel.kptr_restrict=1",
        )
    if not _has(facts, _SYSLOG):
        unnamed = "hidden without CAP_SYSLOG: kernel frames have no names"
        return Check("kernel symbols", WARNING, unnamed)
    return Check("kernel symbols", OK, "readable")


def _failed(name: str, detail: str, hint: str, error: type[ProfilerError]) -> Check:
    return Check(name, FAILED, detail, hint, error)
