from __future__ import annotations

import shlex
from dataclasses import replace

import pytest

from profiler.model.profile import Profile, UnnamedFile
from profiler.model.recording import System
from profiler.renderers.words.name_hint import command, note
from tests import examples

CORE = UnnamedFile("/usr/sbin/asterisk", "ab" * 20, 0.61)
SIP = UnnamedFile("/usr/lib/asterisk/modules/chan_sip.so", "cd" * 20, 0.4)
LIBC = UnnamedFile("/usr/lib/x86_64-linux-gnu/libc.so.6", None, 0.001)
DEBIAN = System("debian", (), "13", "Debian GNU/Linux 13 (trixie)", "asterisk")
ROCKY = System("rocky", ("rhel", "centos", "fedora"), "9.4", "Rocky Linux 9.4", None)
SANGOMA = System("sangoma", ("centos", "rhel", "fedora"), "7", "Sangoma Linux 7 (Core)", None)
PATH = "/root/results/recording"
REPORT = f"ebpf-prof report {PATH}"


def profile(
    system: System | None,
    *files: UnnamedFile,
    ratio: float | None = 0.42,
    container_id: str | None = None,
) -> Profile:
    return replace(
        examples.empty(),
        target=examples.target(system=system, container_id=container_id),
        unnamed_frames_ratio=ratio,
        unnamed_files=files or (CORE, LIBC),
    )


def test_files_come_with_build_ids_and_weights() -> None:
    assert note(profile(DEBIAN, CORE, SIP, LIBC)) == (
        "frames without a name: 42 %, in "
        f"/usr/sbin/asterisk (61 % of the samples, build id {'ab' * 20}); "
        f"/usr/lib/asterisk/modules/chan_sip.so (40 % of the samples, build id {'cd' * 20}); "
        "/usr/lib/x86_64-linux-gnu/libc.so.6 (0.1 % of the samples, without a build id)"
    )


def test_many_files_are_cut_to_the_heaviest() -> None:
    said = note(profile(DEBIAN, *(replace(CORE, path=f"/{number}") for number in range(7))))
    assert said is not None and said.endswith(
        f"/4 (61 % of the samples, build id {'ab' * 20}); 2 more files"
    )


def test_few_frames_without_a_name_are_no_reason_for_a_hint() -> None:
    assert note(profile(DEBIAN, ratio=0.05)) == "frames without a name: 5 %"
    assert command(profile(DEBIAN, ratio=0.05), PATH) is None
    assert command(profile(DEBIAN, ratio=0.051), PATH) is not None
    assert note(profile(DEBIAN, ratio=None)) is command(profile(DEBIAN, ratio=None), PATH) is None


@pytest.mark.parametrize(
    ("identifier", "server"),
    [
        ("debian", "https://debuginfod.debian.net"),
        ("ubuntu", "https://debuginfod.ubuntu.com"),
        ("fedora", "https://debuginfod.fedoraproject.org"),
        ("arch", "https://debuginfod.elfutils.org"),
    ],
)
def test_servers_of_the_distribution_are_asked(identifier: str, server: str) -> None:
    system = System(identifier, (), "1", identifier, "asterisk")
    assert command(profile(system), PATH) == f"DEBUGINFOD_URLS={server} {REPORT}"


def test_an_unknown_distribution_is_asked_for_at_the_server_that_asks_others() -> None:
    asked = f"DEBUGINFOD_URLS=https://debuginfod.elfutils.org {REPORT}"
    assert command(profile(None), PATH) == asked
    assert command(profile(System("linux", (), None, "linux", None)), PATH) == asked


def test_rpm_is_asked_which_packages_the_files_are_of() -> None:
    files = f"{CORE.path} {LIBC.path}"
    assert command(profile(ROCKY), PATH) == (
        f"sudo dnf debuginfo-install $(rpm -qf {files} | sort -u) && {REPORT}"
    )
    assert command(profile(SANGOMA), PATH) == (
        f"sudo debuginfo-install $(rpm -qf {files} | sort -u) && {REPORT}"
    )


def test_packages_of_a_container_are_not_installed_on_the_host() -> None:
    hint = command(profile(ROCKY, container_id="c" * 64), PATH)
    assert hint == f"DEBUGINFOD_URLS=https://debuginfod.elfutils.org {REPORT}"


def test_freepbx_on_debian_has_packages_of_its_own() -> None:
    assert command(profile(replace(DEBIAN, package="asterisk22-core")), PATH) == (
        f"find-dbgsym-packages --install {CORE.path} {LIBC.path} && {REPORT}"
    )


def test_who_built_asterisk_has_its_symbols() -> None:
    built = replace(DEBIAN, package=None)
    assert command(profile(built), PATH) == (
        f"ebpf-prof report --symbols FOLDER_OF_UNSTRIPPED_FILES {PATH}"
    )
    asked = f"DEBUGINFOD_URLS=https://debuginfod.debian.net {REPORT}"
    assert command(profile(built, LIBC), PATH) == asked


def test_what_the_target_calls_its_files_stays_an_argument() -> None:
    odd = replace(CORE, path="/tmp/a b; $(reboot) '\"")
    unprintable = replace(CORE, path="/tmp/\n\x1b[31m\udc80")
    vdso = replace(CORE, path="[vdso]")
    endless = replace(CORE, path=f"/{'x' * 4_000}")
    hint = command(profile(ROCKY, odd, unprintable, vdso, endless, LIBC), "/tmp/it's; reboot")
    assert hint == (
        "sudo dnf debuginfo-install $(rpm -qf "
        f"{shlex.quote(odd.path)} {LIBC.path} | sort -u) && "
        """ebpf-prof report '/tmp/it'"'"'s; reboot'"""
    )
    assert command(profile(ROCKY, unprintable, vdso), PATH) == (
        f"DEBUGINFOD_URLS=https://debuginfod.elfutils.org {REPORT}"
    )
    said = note(profile(ROCKY, unprintable))
    assert said is not None and said.isprintable()
