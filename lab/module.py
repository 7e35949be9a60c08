"""The ground-truth module, built for one version of Asterisk."""

import hashlib
import subprocess
import time
from pathlib import Path

from lab import cache
from lab.errors import LabError

SOURCES = Path(__file__).parent / "groundtruth"
NAME = "groundtruth.so"
_KEPT_S = 24 * 3600
FLAGS = (
    "-std=gnu11",
    "-O2",
    "-fPIC",
    "-shared",
    # Asterisk brings its libc along; a version of the host's would not be found in an older one.
    "-nodefaultlibs",
    "-Wall",
    "-D_GNU_SOURCE",
    '-DAST_MODULE="groundtruth"',
    "-DAST_MODULE_SELF_SYM=__internal_groundtruth_self",
)


def build(packages: Path, target: Path) -> None:
    """Compile the module with the host's compiler against the headers of asterisk-dev in packages.

    A root has no headers but Asterisk's own, so the host's libc headers are used: the module calls
    only functions that every libc since Debian 11's has.
    """
    sources = sorted(path.name for path in SOURCES.glob("*.c"))
    command = ["gcc", *FLAGS, "-isystem", str(packages / "usr/include"), *sources]
    try:
        done = subprocess.run(
            [*command, "-o", str(target)], cwd=SOURCES, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise LabError(
            "no gcc to build the module with", "apt-get install gcc libc6-dev"
        ) from error
    if done.returncode:
        raise LabError(f"the module does not compile:\n{done.stderr.strip()[-2000:]}")


def ensure(version: str, packages: Path) -> Path:
    """Return the module for that version, built when these sources were not built before."""
    target = cache.directory() / "modules" / f"{version}-{_digest()}-{NAME}"
    with cache.locked(f"module-{version}"):
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            fresh = target.with_suffix(".new")
            build(packages, fresh)
            fresh.rename(target)
            _remove_old(target, version)
    return target


def _remove_old(target: Path, version: str) -> None:
    """Remove what was built for that version of other sources, but for what is still new.

    Another checkout may be about to use that.
    """
    for path in target.parent.glob(f"{version}-*-{NAME}"):
        if path != target and path.stat().st_mtime < time.time() - _KEPT_S:
            path.unlink()


def _digest() -> str:
    """Return what names the sources: checkouts of other versions share the cache."""
    digest = hashlib.sha256(repr(FLAGS).encode())
    for path in sorted(SOURCES.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
