"""Real Asterisks, started and stopped."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab import cache, instance, patch, process, root, tree
from lab.errors import LabError
from lab.instance import Instance, Options
from tests.lab.asterisks import PREFIX, start

pytestmark = pytest.mark.live
REPOSITORY = Path(__file__).parents[2]


def mounts() -> list[str]:
    """Return what is mounted in the lab's directory."""
    place = str(cache.directory())
    return [line for line in Path("/proc/mounts").read_text().splitlines() if place in line]


def bound_ports() -> set[int]:
    lines = Path("/proc/net/udp").read_text().splitlines()[1:]
    return {int(line.split()[1].split(":")[1], 16) for line in lines}


def assert_gone(stopped: Instance, pid: int) -> None:
    assert process.ended(pid)
    assert not stopped.directory.exists()
    assert mounts() == []


def test_its_console_answers(asterisk: Instance) -> None:
    version = asterisk.cli("core show version")
    assert version.startswith(f"Asterisk {asterisk.options.version}.")
    assert "System uptime" in asterisk.cli("core show uptime")


def test_its_executable_is_the_packaged_one(asterisk: Instance) -> None:
    running = Path(f"/proc/{asterisk.pid}/exe").stat()
    packaged = (root.ensure(asterisk.options.version) / tree.BINARY).stat()
    assert (running.st_dev, running.st_ino) == (packaged.st_dev, packaged.st_ino)


def test_it_answers_sip_on_the_loopback_only(asterisk: Instance) -> None:
    lines = Path("/proc/net/udp").read_text().splitlines()[1:]
    addresses = [line.split()[1] for line in lines]
    assert [a for a in addresses if int(a.split(":")[1], 16) == asterisk.sip_port] == [
        f"0100007F:{asterisk.sip_port:04X}"
    ]


def test_starting_it_again_changes_nothing(asterisk: Instance) -> None:
    assert instance.start(asterisk.options).pid == asterisk.pid


def test_starting_it_otherwise_is_refused(asterisk: Instance) -> None:
    other = Options(asterisk.options.version, asterisk.name, buckets=11)
    with pytest.raises(LabError, match="with other options"):
        instance.start(other)
    assert asterisk.running


@pytest.mark.parametrize("version", ["16", "22"])
def test_one_beside_another_of_its_version_and_nothing_left(
    asterisk: Instance, version: str
) -> None:
    with start("second", version) as second:
        pid = second.pid
        assert pid != asterisk.pid
        assert second.sip_port in bound_ports()
        assert second.sip_port != asterisk.sip_port
    assert_gone(second, pid)
    assert asterisk.running


@pytest.mark.parametrize("version", ["16", "22"])
def test_the_leak_has_as_many_taskprocessors_as_asked_for(version: str) -> None:
    with start("leak", version, taskprocessors=55_600) as leaking:
        listing = leaking.cli("core show taskprocessors")
        assert instance.parse_taskprocessor_count(listing) == 55_600
        prefix = "stasis/p:endpoint:SIP/" if version == "16" else "pjsip/options/"
        leaked = [line for line in listing.splitlines() if line.startswith(prefix + "leaked")]
        assert len(leaked) > 55_000


def test_static_peers_have_a_taskprocessor_each() -> None:
    with start("peers", "16") as without:
        baseline = without.taskprocessor_count()
    with start("peers", "16", endpoints=200) as peers:
        assert peers.taskprocessor_count() == baseline + 200


@pytest.mark.parametrize("version", ["16", "22"])
def test_other_buckets_are_one_number_in_a_copy(version: str) -> None:
    packaged = (root.ensure(version) / tree.BINARY).read_bytes()
    with start("buckets", version, buckets=7) as changed:
        running = Path(f"/proc/{changed.pid}/exe").read_bytes()
        assert running == patch.with_buckets(packaged, 7)
        assert sum(a != b for a, b in zip(running, packaged, strict=True)) == 2
        assert "System uptime" in changed.cli("core show uptime")


@pytest.mark.parametrize("version", ["16", "22"])
def test_in_namespaces_of_its_own_and_nothing_left(version: str) -> None:
    with start("spaces", version, namespaces=True) as inside:
        pid = inside.pid
        directory = Path(f"/proc/{pid}/ns")
        for kind in ("mnt", "pid"):
            assert (directory / kind).stat().st_ino != Path(f"/proc/self/ns/{kind}").stat().st_ino
        status = Path(f"/proc/{pid}/status").read_text()
        assert f"NSpid:\t{pid}\t1\n" in status
        assert inside.cli("core show uptime")
    assert_gone(inside, pid)


def test_an_upgrade_leaves_the_running_file_deleted(tmp_path: Path) -> None:
    with start("upgrade", "16") as upgraded:
        link = Path(f"/proc/{upgraded.pid}/exe")
        before = link.readlink()
        upgraded.upgrade()
        assert str(link.readlink()) == f"{before} (deleted)"
        assert before.read_bytes() == link.read_bytes()
        assert upgraded.cli("core show uptime")
    assert (root.ensure("16") / tree.BINARY).exists()


def test_what_a_killed_lab_started_can_be_stopped() -> None:
    name = f"{PREFIX}-killed"
    command = [sys.executable, "-m", "lab", "up", "16", "--name", name, "--endpoints", "5000"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL) as lab:
        left = Instance(Options("16", name), 0)
        deadline = time.monotonic() + 120
        while not left.running and time.monotonic() < deadline:
            time.sleep(0.01)
        lab.kill()
    left = instance.find(name)
    pid = left.pid
    left.stop()
    assert_gone(left, pid)
    with pytest.raises(LabError, match="no instance"):
        instance.find(name)


def test_one_that_cannot_boot_is_an_error_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tree, "CONFIGURATION", "etc/nowhere")
    monkeypatch.setattr(tree, "OWN_DIRECTORIES", ("etc/nowhere",))
    with pytest.raises(LabError, match="did not boot"):
        start("broken", "16")
    broken = Instance(Options("16", f"{PREFIX}-broken"), 0)
    assert not broken.directory.exists()
    assert mounts() == []
