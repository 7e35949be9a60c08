"""Kernels of distributions, unpacked from their packages and cached between runs."""

from __future__ import annotations

import lzma
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lab import cache, root
from lab.apt import DEBIAN, Apt, Archive
from lab.errors import LabError
from lab.mirror import read_ubuntu_mirrors
from lab.root import Kind, open_suite


def find_ubuntu_keyring() -> Path:
    """Return the keys that Ubuntu's archive is signed with; Debian 13 and newer have a package."""
    return root.ensure("ubuntu-keys") / "usr/share/keyrings/ubuntu-archive-keyring.gpg"


UBUNTU = Archive(read_ubuntu_mirrors, find_ubuntu_keyring)


@dataclass(frozen=True, slots=True)
class Source:
    """Whose kernel it is, and where it comes from: suites are tried in order."""

    used_by: str
    suites: tuple[str, ...]
    meta_package: str = "linux-image-amd64"
    archive: Archive = DEBIAN


UBUNTU_META_PACKAGE = "linux-image-virtual"
SOURCES = {
    "5.10": Source("Debian 11", ("bullseye",)),
    "5.15": Source("Ubuntu 22.04", ("jammy-updates", "jammy"), UBUNTU_META_PACKAGE, UBUNTU),
    "6.1": Source("Debian 12", ("bookworm",)),
    "6.8": Source("Ubuntu 24.04", ("noble-updates", "noble"), UBUNTU_META_PACKAGE, UBUNTU),
    "6.12": Source("Debian 13", ("trixie",)),
    "7.2": Source("Debian testing", ("forky", "sid")),
}
IMAGE = "vmlinuz"
STAMP = "packages"
# What reaches the host's files, and reads Asterisk's sockets. Some kernels have a part of it built
# in, or in another module.
MODULES = (
    *("virtio", "virtio_ring", "virtio_pci", "virtio_pci_legacy_dev", "virtio_pci_modern_dev"),
    *("9pnet", "9pnet_virtio", "fscache", "netfs", "9p", "overlay"),
    *("inet_diag", "udp_diag"),  # which other machines load when they are asked for
)


def parse_image(control: str) -> str:
    """Return the package of the kernel that a record of a meta package depends on."""
    found = re.search(r"^Depends:.*?\b(linux-image-\d[^\s,]*)", control, re.MULTILINE)
    if found is None:
        raise LabError(f"{control.partition(chr(10))[0]} names no kernel")
    return found[1]


def parse_parts(control: str) -> tuple[str, ...]:
    """Return the packages that a kernel's package leaves its image and its modules to."""
    depends = re.search(r"^Depends:(.*)$", control, re.MULTILINE)
    return tuple(re.findall(r"\blinux-(?:binary|modules)-\d[^\s,]*", depends[1] if depends else ""))


def extract(packages: Iterable[Path], tree: Path) -> None:
    """Unpack the kernel and the modules that a guest needs."""
    for package in packages:
        contents = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE)
        wanted = ["*/vmlinuz*", *(f"*/{name}.ko*" for name in MODULES)]
        tar = ["tar", "-x", "-C", str(tree), "--wildcards", "--transform=s#.*/##", *wanted]
        # tar also fails where a name matches nothing, so what came of it is looked at instead.
        subprocess.run(tar, stdin=contents.stdout, stderr=subprocess.DEVNULL, check=False)
        if contents.wait():
            raise LabError(f"cannot unpack {package.name}", "run the same command again")
    kernels = list(tree.glob("vmlinuz*"))
    if len(kernels) != 1 or not list(tree.glob("9p.ko*")):
        raise LabError("no kernel with the module 9p in its packages")
    kernels[0].rename(tree / IMAGE)
    decompress_modules(tree)


def decompress_modules(tree: Path) -> None:
    """Decompress modules, because busybox cannot."""
    for packed in tree.glob("*.ko.xz"):
        packed.with_suffix("").write_bytes(lzma.decompress(packed.read_bytes()))
        packed.unlink()
    for packed in tree.glob("*.ko.zst"):
        command = ["zstd", "--decompress", "--rm", "--quiet", str(packed)]
        try:
            done = subprocess.run(command, stderr=subprocess.DEVNULL, check=False)
        except FileNotFoundError as error:
            raise LabError("zstd is not installed", "apt-get install zstd") from error
        if done.returncode:
            raise LabError(f"cannot decompress {packed.name}", "run the same command again")


def download(source: Source, version: str, work: Path) -> tuple[Path, ...]:
    """Download the packages of a kernel and return their files."""
    kind = Kind(version, source.suites, (source.meta_package,), None, (), source.archive)
    apt, suite = open_suite(kind, work)
    image = parse_image(show(apt, source.meta_package))
    if not image.startswith(f"linux-image-{version}."):
        raise LabError(f"{suite} has {image}, no Linux {version}", "see SOURCES in lab/kernels.py")
    apt.run("apt-get", "download", image, *parse_parts(show(apt, image)))
    return tuple(sorted(apt.archives.glob("*.deb")))


def show(apt: Apt, package: str) -> str:
    """Return the newest record of a package."""
    return apt.run("apt-cache", "show", "--no-all-versions", package)


def unpack(version: str, target: Path) -> None:
    """Download a kernel and rename its directory to target when it is whole."""
    work = target.with_name(f".{target.name}.new")
    shutil.rmtree(work, ignore_errors=True)
    tree = work / "tree"
    tree.mkdir(parents=True)
    packages = download(SOURCES[version], version, work)
    extract(packages, tree)
    (tree / STAMP).write_text("".join(f"{package.stem}\n" for package in packages))
    shutil.rmtree(target, ignore_errors=True)
    tree.rename(target)
    shutil.rmtree(work)


def ensure(version: str) -> Path:
    """Return the directory of a kernel and its modules, downloaded at first use."""
    target = cache.directory() / "kernels" / version
    with cache.locked(f"kernel-{version}"):
        if not (target / STAMP).exists():
            unpack(version, target)
    return target
