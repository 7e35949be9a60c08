"""A root directory unpacked from Debian's packages of another suite, cached between runs."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab import cache
from lab.apt import DEBIAN, Apt, Archive
from lab.errors import LabError

EXCLUDED = ("./usr/share/doc", "./usr/share/man", "./usr/share/locale")
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
    archive: Archive = DEBIAN


ASTERISK = ("asterisk", "asterisk-modules", "asterisk-dev")
KINDS = {
    "16": Kind("16", ("bullseye",), ASTERISK, "asterisk", ("libc6", "libgsm1")),
    "22": Kind("22", ("forky", "sid"), ASTERISK, "asterisk", ("libc6", "libgsm1")),
    "sipp": Kind("sipp", ("bookworm",), (), None, ("sip-tester", "ncurses-base")),
    "ubuntu-keys": Kind("ubuntu-keys", ("trixie", "forky", "sid"), ("ubuntu-keyring",), None, ()),
}


def parse_libraries(control: str) -> tuple[str, ...]:
    """Return the names of the library packages that a control record depends on."""
    for line in control.splitlines():
        if line.startswith("Depends:"):
            first = (alternatives.split("|")[0] for alternatives in line[8:].split(","))
            names = [re.sub(r"\(.*\)|:any|\s", "", name) for name in first]
            return tuple(dict.fromkeys(name for name in names if name.startswith("lib")))
    return ()


def open_suite(kind: Kind, work: Path) -> tuple[Apt, str]:
    """Return an apt whose index has the kind's packages, and the suite that has them."""
    wanted = (kind.packages + kind.closed)[0]
    failure = LabError(f"no suite of {', '.join(kind.suites)} could be read")
    keyring = kind.archive.find_keyring()
    for mirror in kind.archive.read_mirrors():
        for suite in kind.suites:
            place = work / suite
            shutil.rmtree(place, ignore_errors=True)
            apt = Apt(place, mirror, suite, keyring)
            try:
                apt.run("apt-get", "update", "-o", "APT::Update::Error-Mode=any")
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
