"""The root directory of one instance: the packages by hard links, and what is its own.

Links cost no space and no time, and every instance has the paths that a real installation has.
Nothing is mounted. What is its own is written to new files, never through a link.
"""

import os
import shutil
import socket
import stat
import subprocess
from pathlib import Path

from lab import configuration, module, patch
from lab.configuration import Layout
from lab.errors import LabError

BINARY = "usr/sbin/asterisk"
CONFIGURATION = "etc/asterisk"
# Minor numbers of the memory devices (major 1).
DEVICES = {"null": 3, "zero": 5, "random": 8, "urandom": 9}
OWN_DIRECTORIES = (
    CONFIGURATION,
    "run/asterisk",
    "var/lib/asterisk/keys",
    "var/log/asterisk",
    "var/spool/asterisk",
)


def write_new(path: Path, text: str) -> None:
    """Write a file of its own, never through a hard link into the packages."""
    path.unlink(missing_ok=True)
    path.write_text(text)


def module_directory(root: Path) -> Path:
    """Return the directory of Asterisk's modules in a root."""
    for candidate in ("usr/lib/asterisk/modules", "usr/lib/x86_64-linux-gnu/asterisk/modules"):
        if (root / candidate).is_dir():
            return root / candidate
    raise LabError(f"no modules of Asterisk in {root}")


def make_devices(root: Path) -> None:
    """Make the devices that Asterisk opens."""
    for name, minor in DEVICES.items():
        os.mknod(root / "dev" / name, stat.S_IFCHR, os.makedev(1, minor))
        (root / "dev" / name).chmod(0o666)


def furnish(root: Path, packages: Path, layout: Layout, buckets: int | None) -> None:
    """Make the root; buckets other than None puts a changed copy of the binary into it."""
    subprocess.run(["cp", "-al", packages, root], check=True)
    make_devices(root)
    for name in OWN_DIRECTORIES:
        (root / name).mkdir(parents=True, exist_ok=True)
    modules = module_directory(root)
    files = configuration.render(layout, f"/{modules.relative_to(root)}")
    for name, text in files.items():
        write_new(root / CONFIGURATION / name, text)
    # Asterisk looks its own host name up at start; no name server is asked.
    write_new(root / "etc/hosts", f"127.0.0.1 localhost {socket.gethostname()}\n")
    if layout.version == "16":
        configuration.write_realtime_peers(root / configuration.DATABASE.lstrip("/"))
    shutil.copy2(module.ensure(layout.version, packages), modules / module.NAME)
    if buckets is not None:
        (root / BINARY).unlink()
        patch.copy_with_buckets(packages / BINARY, root / BINARY, buckets)
