from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from profiler.doctor.checks import Check, checks, exit_code, require
from profiler.doctor.facts import HostFacts
from profiler.errors import KernelError, PrivilegeError, ProfilerError
from profiler.linux.probe_link_kinds import ProbeLinkKind
from profiler.probes.attach import VARIANTS, Variant, best_variant_here

HEALTHY = HostFacts(
    machine="x86_64",
    kernel_release="6.1.0",
    python="/usr/bin/python3 (3.11.2)",
    euid=0,
    capabilities=(1 << 41) - 1,
    seccomp_mode=0,
    initial_pid_namespace=True,
    lockdown="integrity",
    perf_event_paranoid=3,
    kptr_restrict=1,
    bpf_errno=0,
    uprobe_errno=0,
    variant=VARIANTS[0],
    cpu_clock_errno=0,
    statistics_errno=0,
    has_btf=True,
    kernel_samples_have_stacks=True,
    bcc_path="/usr/lib/python3/dist-packages/bcc",
    bcc_is_compiler=True,
    bcc_elsewhere=False,
    compile_error=None,
    compile_tried=True,
    thread_ends_are_reported=True,
    udp_sockets=None,
)
CONTAINER = {"seccomp_mode": 2}
LEAST = sum(1 << capability for capability in (2, 19, 38, 39, 40))  # docs/containers.md
UNPRIVILEGED = {"euid": 1000, "capabilities": 0, "bpf_errno": errno.EPERM}


def test_a_healthy_host_passes() -> None:
    found = checks(HEALTHY)
    assert {check.state for check in found} == {"ok"}
    assert exit_code(found) == 0
    require(found)


def test_the_least_privileges_that_docs_name_will_do() -> None:
    found = checks(replace(HEALTHY, capabilities=LEAST, euid=1000))
    assert exit_code(found) == 0
    (warned,) = (check for check in found if check.state != "ok")
    assert (warned.name, warned.detail.startswith("hidden without CAP_SYSLOG")) == (
        "kernel symbols",
        True,
    )


FAILURES: list[tuple[dict[str, Any], type[ProfilerError], str, str]] = [
    ({"machine": "aarch64"}, KernelError, "only x86-64 is supported", ""),
    (UNPRIVILEGED, PrivilegeError, "not root", "sudo ebpf-prof asterisk"),
    (
        {"capabilities": (1 << 38) - 1 & ~(1 << 19) & ~(1 << 21), "statistics_errno": errno.EPERM},
        PrivilegeError,
        "root without CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE, CAP_CHECKPOINT_RESTORE, CAP_SYS_ADMIN",
        "--privileged",
    ),
    (
        {"capabilities": (1 << 41) - 1 & ~0b110},
        PrivilegeError,
        "root without CAP_DAC_READ_SEARCH",
        "--privileged",
    ),
    (
        {"capabilities": LEAST, "euid": 1000, "statistics_errno": errno.EPERM},
        PrivilegeError,
        "user 1000 without CAP_SYS_ADMIN",
        "kernel.bpf_stats_enabled=1",
    ),
    ({"initial_pid_namespace": False}, PrivilegeError, "process ids of its own", "--pid=host"),
    ({"lockdown": "confidentiality"}, PrivilegeError, "locked down", "lockdown=integrity"),
    (
        {"bpf_errno": errno.EPERM, **CONTAINER},
        PrivilegeError,
        "a seccomp filter denies bpf(2) (Operation not permitted)",
        "seccomp=unconfined",
    ),
    (
        {"bpf_errno": errno.ENOSYS, **CONTAINER},
        PrivilegeError,
        "a seccomp filter denies bpf(2) (Function not implemented)",
        "seccomp=unconfined",
    ),
    ({"bpf_errno": errno.ENOSYS}, KernelError, "this kernel has no bpf(2)", "config-6.1.0"),
    ({"bpf_errno": errno.EPERM}, PrivilegeError, "a security module denies bpf(2)", "dmesg"),
    ({"bpf_errno": errno.ENOMEM}, KernelError, "bpf(2) fails: Cannot allocate memory", "dmesg"),
    ({"uprobe_errno": errno.ENOENT}, KernelError, "no uprobes (CONFIG_UPROBE_EVENTS)", "UPROBE"),
    (
        {"uprobe_errno": errno.EPERM, **CONTAINER},
        PrivilegeError,
        "a seccomp filter denies perf_event_open(2)",
        "seccomp=unconfined",
    ),
    ({"variant": None}, KernelError, "lets no probe run a program", "BPF_EVENTS"),
    ({"cpu_clock_errno": errno.ENOENT}, KernelError, "no software perf events", "PERF_EVENTS"),
    ({"cpu_clock_errno": errno.ENOSYS}, KernelError, "no perf_event_open(2)", "PERF_EVENTS"),
    (
        {"bcc_is_compiler": False, "bcc_path": None},
        KernelError,
        "BCC is not installed for /usr/bin/python3 (3.11.2)",
        "sudo apt install python3-bpfcc",
    ),
    (
        {"bcc_is_compiler": False, "bcc_path": None, "bcc_elsewhere": True},
        KernelError,
        "BCC is there for /usr/bin/python3, but not for",
        "/usr/bin/python3 -m venv --system-site-packages",
    ),
    (
        {"bcc_is_compiler": False, "bcc_path": "/x/bcc"},
        KernelError,
        "the module bcc in /x/bcc is another project",
        "pip uninstall bcc; sudo apt install python3-bpfcc",
    ),
    (
        {"bcc_is_compiler": False, "bcc_path": "/x/bcc", "bcc_elsewhere": True},
        KernelError,
        "hides BCC",
        "pip uninstall bcc",
    ),
    ({"statistics_errno": errno.EINVAL}, KernelError, "BPF_ENABLE_STATS of bpf(2) fails", "dmesg"),
    ({"compile_error": KernelError("no clang", "hint")}, KernelError, "no clang", "hint"),
]


@pytest.mark.parametrize(("change", "error", "message", "hint"), FAILURES)
def test_each_failure_has_a_line_a_hint_and_an_exit_code(
    change: dict[str, Any], error: type[ProfilerError], message: str, hint: str
) -> None:
    found = checks(replace(HEALTHY, **change))
    with pytest.raises(error) as caught:
        require(found)

    assert message in caught.value.message
    assert hint in caught.value.hint
    assert "\n" not in caught.value.message + caught.value.hint
    assert exit_code(found) == error.exit_code


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"compile_tried": False}, "compiler"),
        ({"has_btf": False}, "BTF"),
        ({"kernel_samples_have_stacks": False}, "kernel stacks"),
        ({"kptr_restrict": 2}, "kernel symbols"),
        ({"thread_ends_are_reported": False}, "thread ends"),
        ({"udp_sockets": "no"}, "UDP sockets"),
    ],
)
def test_what_is_not_required_only_warns(change: dict[str, Any], name: str) -> None:
    found = checks(replace(HEALTHY, **change))
    assert [check.name for check in found if check.state != "ok"] == [name]
    assert exit_code(found) == 0
    require(found)


@pytest.mark.parametrize("way", VARIANTS)
def test_a_kernel_without_the_best_way_is_no_warning(way: Variant) -> None:
    found = checks(replace(HEALTHY, variant=way))
    assert all(check.state == "ok" for check in found)
    (chains,) = (check.detail for check in found if check.name == "long chains")
    assert ("145,000" in chains) == (not way.iterator)


def test_what_a_kernel_without_btf_loses_is_said_with_what_helps() -> None:
    lacks: dict[str, Any] = {"kernel_samples_have_stacks": False, "thread_ends_are_reported": False}
    found = checks(replace(HEALTHY, has_btf=False, variant=VARIANTS[-1], **lacks))
    warned = [check for check in found if check.state == "warning"]
    assert [check.name for check in warned] == ["BTF", "kernel stacks", "thread ends"]
    assert {check.hint for check in warned} == {
        "grep DEBUG_INFO_BTF /boot/config-$(uname -r), and boot a kernel that has it"
    }


def test_the_first_failure_counts() -> None:
    found = (
        Check("a", "warning", "w"),
        Check("b", "failed", "first", "hint b", PrivilegeError),
        Check("c", "failed", "second", "hint c", KernelError),
    )
    assert exit_code(found) == 5
    with pytest.raises(PrivilegeError, match="first"):
        require(found)


RUN = (
    "from profiler.doctor.facts import read_facts; from profiler.doctor.checks import *\n"
    "from profiler.doctor.text import render\n"
    "import sys; found = checks(read_facts()); render(found, sys.stdout)\n"
    "sys.exit(exit_code(found))"
)


def doctor(*wrapper: str) -> tuple[int, list[list[str]]]:
    """Run the doctor below a command; return its exit code and what it says, by line."""
    result = subprocess.run(
        [*wrapper, sys.executable, "-c", RUN],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
        check=False,
    )
    assert result.stderr == ""
    return result.returncode, [line.split(maxsplit=2) for line in result.stdout.splitlines()]


def failed(lines: Sequence[Sequence[str]]) -> list[str]:
    return [words[1] for words in lines if words[0] == "failed"]


@pytest.mark.root
def test_here_as_root() -> None:
    code, lines = doctor()
    assert (code, failed(lines)) == (0, [])


@pytest.mark.root
def test_here_as_nobody() -> None:
    code, lines = doctor("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    assert code == 5
    assert failed(lines) == ["privileges", "bpf", "uprobes", "sampling"]


DENY = (sys.executable, str(Path(__file__).parents[1] / "deny_syscall.py"))


@pytest.mark.root
@pytest.mark.parametrize(
    ("number", "expected"), [(321, ["bpf"]), (298, ["sampling"])], ids=["bpf", "perf"]
)
@pytest.mark.parametrize("error", [errno.EPERM, errno.ENOSYS])
def test_here_under_a_seccomp_filter(number: int, error: int, expected: list[str]) -> None:
    code, lines = doctor(*DENY, str(number), str(error))
    assert code == 5
    if number == 298 and (best := best_variant_here()) and best.links is ProbeLinkKind.SINGLE:
        expected = ["uprobes", *expected]  # which are perf events there
    assert failed(lines) == expected
    assert any(words[1:] and "a seccomp filter denies" in " ".join(words) for words in lines)


@pytest.mark.root
def test_here_in_a_pid_namespace_of_its_own() -> None:
    code, lines = doctor("unshare", "--pid", "--fork", "--mount-proc")
    assert code == 5
    assert failed(lines) == ["process"]  # "process ids"


@pytest.mark.root
def test_here_without_a_capability() -> None:
    code, lines = doctor("setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-all")
    assert code == 5
    assert failed(lines) == ["privileges"]
