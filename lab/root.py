"""A root directory unpacked from Debian's packages of another suite, cached between runs."""

import json
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from lab import cache
from lab.errors import LabError
from lab.mirror import read_mirrors

# The archive keyring's name ends in .pgp from Debian 13 on.
KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
)
EXCLUDED = ("./usr/share/doc", "./usr/share/man", "./usr/share/locale")
ATTEMPTS = 3
STAMP = "packages.json"


@dataclass(frozen=True, slots=True)
class Kind:
    """What a root is made of.

    suites are tried in order; packages are unpacked alone; the libraries that `depends_of` (one of
    packages) links, and `closed` packages, are unpacked together with all that they depend on.
    """

    name: str
    suites: tuple[str, ...]
    packages: tuple[str, ...]
    depends_of: str | None
    closed: tuple[str, ...]


ASTERISK = ("asterisk", "asterisk-modules", "asterisk-dev")
KINDS = {
    "16": Kind("16", ("bullseye",), ASTERISK, "asterisk", ("libc6", "libgsm1")),
    "22": Kind("22", ("forky", "sid"), ASTERISK, "asterisk", ("libc6", "libgsm1")),
    "sipp": Kind("sipp", ("bookworm",), (), None, ("sip-tester", "ncurses-base")),
}


def parse_libraries(control: str) -> tuple[str, ...]:
    """Return the names of the library packages that a control record depends on."""
    for line in control.splitlines():
        if line.startswith("Depends:"):
            first = (alternatives.split("|")[0] for alternatives in line[8:].split(","))
            names = [re.sub(r"\(.*\)|:any|\s", "", name) for name in first]
            return tuple(dict.fromkeys(name for name in names if name.startswith("lib")))
    return ()


class Apt:
    """An apt of its own: no state of the host's apt is read or written."""

    def __init__(self, work: Path, mirror: str, suite: str) -> None:
        self.archives = work / "cache/archives"
        for directory in (work / "state/lists/partial", self.archives / "partial"):
            directory.mkdir(parents=True, exist_ok=True)
        (work / "status").touch()
        keyring = next((path for path in KEYRINGS if path.exists()), None)
        if keyring is None:
            raise LabError(
                "Debian's archive keys are not installed", "apt-get install debian-archive-keyring"
            )
        sources = work / "sources.list"
        sources.write_text(f"deb [signed-by={keyring}] {mirror} {suite} main\n")
        self._options = [
            f"Dir::Etc::sourcelist={sources}",
            "Dir::Etc::sourceparts=-",
            f"Dir::State={work / 'state'}",
            f"Dir::State::status={work / 'status'}",
            f"Dir::Cache={work / 'cache'}",
            "APT::Architecture=amd64",
            "APT::Install-Recommends=false",
            "APT::Keep-Downloaded-Packages=true",
            # _apt may not enter root's directories.
            "APT::Sandbox::User=root",
            "Acquire::Languages=none",
            "Acquire::Retries=3",
            # The Release files of a suite that is no longer updated expire.
            "Acquire::Check-Valid-Until=false",
        ]

    def run(self, tool: str, *arguments: str, attempts: int = ATTEMPTS) -> str:
        """Return the output of an apt tool, tried again after a failure; raise LabError at last."""
        options = [word for option in self._options for word in ("-o", option)]
        command = [tool, *options, "-qq", *arguments]
        for attempt in range(attempts):
            if attempt:
                time.sleep(2 * attempt)
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, cwd=self.archives
            )
            if done.returncode == 0:
                return done.stdout
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise LabError(
            f"{tool} {arguments[0]} failed: {reason}",
            "check the network and the mirror, then run the same command again",
        )


def open_suite(kind: Kind, work: Path) -> tuple[Apt, str]:
    """Return an apt whose index has the kind's packages, and the suite that has them."""
    wanted = (kind.packages + kind.closed)[0]
    failure = LabError(f"no suite of {', '.join(kind.suites)} could be read")
    for mirror in read_mirrors():
        for suite in kind.suites:
            place = work / suite
            shutil.rmtree(place, ignore_errors=True)
            apt = Apt(place, mirror, suite)
            try:
                apt.run("apt-get", "-o", "APT::Update::Error-Mode=any", "update")
                apt.run("apt-cache", "show", "--no-all-versions", wanted, attempts=1)
            except LabError as error:
                failure = error
                continue
            return apt, suite
    raise failure


def download(kind: Kind, apt: Apt) -> tuple[Path, ...]:
    """Download the packages of the kind and return their files."""
    closed = list(kind.closed)
    if kind.depends_of:
        control = apt.run("apt-cache", "show", "--no-all-versions", kind.depends_of)
        closed += parse_libraries(control)
    apt.run("apt-get", "-y", "--download-only", "install", *closed)
    if kind.packages:
        apt.run("apt-get", "download", *kind.packages)
    return tuple(sorted(apt.archives.glob("*.deb")))


def prepare(tree: Path) -> None:
    """Make the directories and links that base-files would bring (merged /usr)."""
    for name in ("bin", "sbin", "lib", "lib64"):
        (tree / "usr" / name).mkdir(parents=True)
        (tree / name).symlink_to(f"usr/{name}")
    for name in ("proc", "dev", "run", "tmp", "etc", "var"):
        (tree / name).mkdir()
    (tree / "var/run").symlink_to("/run")


def extract(package: Path, tree: Path) -> None:
    """Unpack one package into the tree, without its scripts and documentation."""
    contents = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE)
    excludes = [f"--exclude={path}" for path in EXCLUDED]
    tar = subprocess.run(
        ["tar", "-x", "--keep-directory-symlink", "-C", tree, *excludes],
        stdin=contents.stdout,
        capture_output=True,
        text=True,
        check=False,
    )
    if contents.wait() or tar.returncode:
        raise LabError(
            f"cannot unpack {package.name}: {tar.stderr.strip()[-200:]}",
            "check the free space, then run the same command again",
        )


def unpack(kind: Kind, target: Path) -> None:
    """Build the kind's root beside target and rename it to target when it is whole."""
    work = target.with_name(f".{target.name}.new")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    apt, suite = open_suite(kind, work)
    packages = download(kind, apt)
    tree = work / "tree"
    prepare(tree)
    for package in packages:
        extract(package, tree)
    stamp = {"suite": suite, "packages": [package.stem for package in packages]}
    (tree / STAMP).write_text(json.dumps(stamp, indent=1) + "\n")
    tree.rename(target)
    shutil.rmtree(work)


def ensure(name: str) -> Path:
    """Return the root of the kind called name, unpacked at first use."""
    target = cache.roots() / name
    with cache.locked(f"root-{name}"):
        if not (target / STAMP).exists():
            shutil.rmtree(target, ignore_errors=True)
            unpack(KINDS[name], target)
    return target
