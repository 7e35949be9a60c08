"""One running Asterisk of the lab: start it, talk to it, stop it.

An instance has a root directory of its own, made of hard links to the unpacked packages, so that
its configuration, sockets, logs and binary are its own and nothing has to be mounted. In a test:

    with lab.instance.start(Options("16", buckets=7, taskprocessors=55_600)) as asterisk:
        asterisk.pid, asterisk.cli("core show uptime")
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from lab import cache, console, forget, module, process, root, tree
from lab.configuration import PORTS_PER_SLOT, SIP_PORTS, SLOTS, VERSIONS, Layout
from lab.errors import LabError

STATE = "instance.json"
# 22 with 55,500 endpoints takes two minutes on two slow cores.
BOOT_SECONDS = 420.0
CLI_SECONDS = 60.0
# 55,600 in 7 buckets: each new one is compared with all of its bucket.
LEAK_SECONDS = 300.0
STABLE_READINGS = 4
STOP_SECONDS = 15.0
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")


@dataclass(frozen=True, slots=True)
class Options:
    """What `lab up` was asked for; buckets is None for the packaged binary.

    One that forgets lacks a release of a reference whenever a phone registers.
    """

    version: str
    name: str = ""
    buckets: int | None = None
    taskprocessors: int = 0
    endpoints: int | None = None
    namespaces: bool = False
    forgets: bool = False

    def complete(self) -> "Options":
        """Return the options with defaults filled in, or raise LabError."""
        if self.version not in VERSIONS:
            raise LabError(f"no Asterisk {self.version} in the lab", f"one of {VERSIONS}")
        name = self.name or self.version
        if not NAME.fullmatch(name):
            raise LabError(f"{name!r} is no name for an instance", "letters, digits, . _ -")
        endpoints = self.endpoints
        if endpoints is None:
            endpoints = 100 if self.version == "22" else 0
        return replace(self, name=name, endpoints=endpoints)


@dataclass(frozen=True, slots=True)
class Instance:
    """A started instance; slot decides its ports."""

    options: Options
    slot: int

    @property
    def name(self) -> str:
        """Return the instance's name, unique in the lab."""
        return self.options.name

    @property
    def directory(self) -> Path:
        """Return the directory that holds all that belongs to the instance."""
        return cache.instances() / self.name

    @property
    def root(self) -> Path:
        """Return the instance's root directory."""
        return self.directory / "root"

    def layout(self) -> Layout:
        """Return what the configuration is made of."""
        return Layout(self.options.version, self.slot, self.options.endpoints or 0)

    @property
    def sip_port(self) -> int:
        """Return the UDP port on 127.0.0.1 that answers SIP."""
        return self.layout().sip_port

    @property
    def pids(self) -> list[int]:
        """Return the pids of all processes in the instance's root."""
        return process.in_root(self.root)

    @property
    def pid(self) -> int:
        """Return Asterisk's pid (as this pid namespace numbers it), or raise LabError."""
        for pid in self.pids:
            if process.name(pid) == "asterisk":
                return pid
        raise LabError(f"{self.name} is not running", f"python3 -m lab up {self.options.version}")

    @property
    def running(self) -> bool:
        """Return whether Asterisk runs."""
        return any(process.name(pid) == "asterisk" for pid in self.pids)

    def cli(self, command: str, seconds: float = CLI_SECONDS) -> str:
        """Return what Asterisk's console answers to a command."""
        try:
            return console.ask(self.root / "run/asterisk/asterisk.ctl", command, seconds)
        except OSError as error:
            raise LabError(
                f"{self.name} does not answer {command!r}: {error}",
                f"see {self.root / 'var/log/asterisk/messages'}",
            ) from error

    def taskprocessor_count(self) -> int:
        """Return the number of taskprocessors that `core show taskprocessors` counts."""
        return parse_taskprocessor_count(self.cli("core show taskprocessors"))

    def groundtruth(self, command: str, seconds: float = CLI_SECONDS) -> dict[str, Any]:
        """Return the answer of the ground-truth module, which is loaded at first use.

        command is what follows `groundtruth` on the console; raise LabError when it is refused.
        """
        answer = self.cli(f"groundtruth {command}", seconds)
        if answer.startswith("No such command"):
            self.cli(f"module load {module.NAME}", seconds)
            answer = self.cli(f"groundtruth {command}", seconds)
        return parse_groundtruth(command, answer)

    def stable_taskprocessor_count(self) -> int:
        """Return the count of taskprocessors when it has stopped changing after the boot."""
        counts = [self.taskprocessor_count()]
        while len(counts) < STABLE_READINGS or len(set(counts[-STABLE_READINGS:])) > 1:
            if len(counts) > 100 * STABLE_READINGS:
                raise LabError(f"{self.name}: its taskprocessors do not stop changing")
            time.sleep(0.1)
            counts.append(self.taskprocessor_count())
        return counts[-1]

    def leak(self, total: int) -> None:
        """Leak taskprocessors until there are total of them (more, if there are more)."""
        missing = total - self.stable_taskprocessor_count() if total else 0
        if missing > 0:
            kind = " pjsip" if self.options.version == "22" else ""
            self.groundtruth(f"tps leak {missing}{kind}", LEAK_SECONDS)

    def stop(self) -> None:
        """Stop every process of the instance and remove its directory."""
        for number, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
            process.send(self.pids, number)
            if process.wait_gone(self.root, seconds):
                break
        else:
            raise LabError(f"{self.name} does not end", f"pids {self.pids}")
        shutil.rmtree(self.directory, ignore_errors=True)

    def upgrade(self) -> None:
        """Replace the binary on disk by a fresh copy while it runs, as a package upgrade does."""
        binary = self.root / tree.BINARY
        fresh = binary.with_name("asterisk.dpkg-new")
        shutil.copy2(binary, fresh)
        fresh.rename(binary)

    def __enter__(self) -> "Instance":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def parse_taskprocessor_count(text: str) -> int:
    """Return the total in the last line of `core show taskprocessors`."""
    match = re.search(r"^(\d+) taskprocessors$", text, re.MULTILINE)
    if match is None:
        raise LabError(f"no count of taskprocessors in {text[-100:]!r}")
    return int(match.group(1))


def parse_groundtruth(command: str, answer: str) -> dict[str, Any]:
    """Return the JSON object in the module's answer; raise LabError for an error or none."""
    try:
        value: dict[str, Any] = json.loads(answer.splitlines()[0])
    except (IndexError, ValueError) as error:
        raise LabError(f"groundtruth {command}: answered {answer[:200]!r}") from error
    if "error" in value:
        raise LabError(f"groundtruth {command}: {value.get('error')}")
    return value


def read_all() -> list[Instance]:
    """Return every instance that has a directory, running or not, by name."""
    found = []
    for state in sorted(cache.instances().glob(f"*/{STATE}")):
        try:
            value = json.loads(state.read_text())
        except (FileNotFoundError, ValueError):
            # it is being stopped or started at this moment
            continue
        found.append(Instance(Options(**value["options"]), value["slot"]))
    return found


def sweep() -> None:
    """Remove what a lab that was killed while it started an instance left behind."""
    with cache.locked("instances"):
        known = {instance.name for instance in read_all()}
        for directory in cache.instances().glob("*"):
            if directory.name not in known:
                shutil.rmtree(directory, ignore_errors=True)


def find(name: str) -> Instance:
    """Return the instance called name, or raise LabError."""
    for instance in read_all():
        if instance.name == name:
            return instance
    raise LabError(f"the lab has no instance {name}", "python3 -m lab status")


def port_is_free(port: int) -> bool:
    """Return whether nobody (of another lab directory, say) has the UDP port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_slot(version: str, instances: list[Instance]) -> int:
    """Return the lowest slot that no instance of the version has."""
    taken = {instance.slot for instance in instances if instance.options.version == version}
    for slot in range(SLOTS):
        if slot not in taken and port_is_free(SIP_PORTS[version] + PORTS_PER_SLOT * slot):
            return slot
    raise LabError(f"{SLOTS} instances of {version} run already", "python3 -m lab down all")


def launch(instance: Instance) -> None:
    """Start Asterisk in the instance's root, in a session of its own, and return at once."""
    namespaces = [
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        f"--mount-proc={instance.root / 'proc'}",
    ]
    command = ["setsid", "--fork", "prlimit", "--nofile=16384", "--core=0"]
    command += namespaces if instance.options.namespaces else []
    command += [
        "chroot",
        str(instance.root),
        f"/{tree.BINARY}",
        "-f",
        "-C",
        f"/{tree.CONFIGURATION}/asterisk.conf",
    ]
    with (instance.directory / "output").open("wb") as output:
        subprocess.run(
            command,
            check=True,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={"PATH": os.environ.get("PATH", ""), "LANG": "C"},
        )


def wait_booted(instance: Instance, seconds: float = BOOT_SECONDS) -> None:
    """Return when Asterisk says that it is fully booted; raise LabError if it ends or hangs."""
    deadline = time.monotonic() + seconds
    seen = False
    while time.monotonic() < deadline:
        alive = instance.running
        if seen and not alive:
            break
        seen = seen or alive
        try:
            booted = instance.cli("core waitfullybooted", deadline - time.monotonic())
            # 22 registers a few commands, this one too, just after it says so.
            version = instance.cli("core show version")
        except LabError:
            booted = version = ""
        if "fully booted" in booted and version.startswith("Asterisk "):
            return
        time.sleep(0.02)
    output = (instance.directory / "output").read_text(errors="replace").strip()
    raise LabError(
        f"{instance.name} did not boot: {output[-300:]}",
        f"see {instance.root / 'var/log/asterisk/messages'}",
    )


def start(options: Options) -> Instance:
    """Start an instance, or return the one of that name if it runs with the same options."""
    options = options.complete()
    packages = root.ensure(options.version)
    with cache.locked("instances"):
        others = read_all()
        for other in others:
            if other.name != options.name:
                continue
            if other.running and other.options == options:
                return other
            if other.running:
                raise LabError(
                    f"{other.name} runs already, with other options",
                    f"python3 -m lab down {other.name}, or --name another",
                )
            other.stop()
            others.remove(other)
            break
        instance = Instance(options, free_slot(options.version, others))
        shutil.rmtree(instance.directory, ignore_errors=True)
        instance.directory.mkdir(parents=True)
        state = {"options": asdict(options), "slot": instance.slot}
        (instance.directory / STATE).write_text(json.dumps(state) + "\n")
        tree.furnish(instance.root, packages, instance.layout(), options.buckets)
        if options.forgets:
            forget.copy_without_release(tree.module_directory(instance.root), options.version)
        launch(instance)
    try:
        wait_booted(instance)
        instance.leak(options.taskprocessors)
    except BaseException:
        instance.stop()
        raise
    return instance
