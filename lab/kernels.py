"""Kernels that Debian's releases run, unpacked from their packages and cached between runs."""

from __future__ import annotations

import lzma
import re
import shutil
import subprocess
from pathlib import Path

from lab import cache
from lab.errors import LabError
from lab.root import Kind, open_suite

# The kernels of Debian 11, 12 and 13.
SUITES = {"5.10": "bullseye", "6.1": "bookworm", "6.12": "trixie"}
META_PACKAGE = "linux-image-amd64"
IMAGE = "vmlinuz"
# What reaches the host's files, and reads Asterisk's sockets. Some kernels have a part of it built
# in, or in another module.
MODULES = (
    *("virtio", "virtio_ring", "virtio_pci", "virtio_pci_legacy_dev", "virtio_pci_modern_dev"),
    *("9pnet", "9pnet_virtio", "fscache", "netfs", "9p", "overlay"),
    *("inet_diag", "udp_diag"),  # which other machines load when they are asked for
)


def parse_image(control: str) -> str:
    """Return the package of the kernel that a record of the meta package depends on."""
    found = re.search(r"^Depends: (linux-image-[^\s,]+)", control, re.MULTILINE)
    if found is None:
        raise LabError(f"{META_PACKAGE} names no kernel")
    return found[1]


def extract(package: Path, tree: Path) -> None:
    """Unpack the kernel and the modules that a guest needs."""
    contents = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE)
    wanted = ["./boot/vmlinuz-*", *(f"*/{name}.ko*" for name in MODULES)]
    tar = ["tar", "-x", "-C", str(tree), "--wildcards", "--transform=s#.*/##", *wanted]
    # tar also fails where a name matches nothing, so what came of it is looked at instead.
    subprocess.run(tar, stdin=contents.stdout, stderr=subprocess.DEVNULL, check=False)
    kernels = list(tree.glob("vmlinuz-*"))
    if contents.wait() or len(kernels) != 1 or not list(tree.glob("9p.ko*")):
        raise LabError(f"cannot unpack {package.name}", "check the free space, then run it again")
    kernels[0].rename(tree / IMAGE)
    for packed in tree.glob("*.ko.xz"):
        packed.with_suffix("").write_bytes(lzma.decompress(packed.read_bytes()))
        packed.unlink()


def unpack(suite: str, target: Path) -> None:
    """Download a suite's kernel and rename it to target when it is whole."""
    work = target.with_name(f".{target.name}.new")
    shutil.rmtree(work, ignore_errors=True)
    tree = work / "tree"
    tree.mkdir(parents=True)
    apt, _ = open_suite(Kind(suite, (suite,), (META_PACKAGE,), None, ()), work)
    control = apt.run("apt-cache", "show", "--no-all-versions", META_PACKAGE)
    apt.run("apt-get", "download", parse_image(control))
    extract(next(apt.archives.glob("linux-image-*.deb")), tree)
    tree.rename(target)
    shutil.rmtree(work)


def ensure(name: str) -> Path:
    """Return the directory of a kernel and its modules, downloaded at first use."""
    target = cache.directory() / "kernels" / name
    with cache.locked(f"kernel-{name}"):
        if not target.exists():
            unpack(SUITES[name], target)
    return target
