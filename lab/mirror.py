"""The mirrors that this machine's apt is configured with: Debian's, and Ubuntu's beside it."""

import os
import re
import subprocess
from pathlib import Path

from lab.errors import LabError

ENVIRONMENT = "EBPF_PROF_LAB_MIRROR"
UBUNTU_ENVIRONMENT = "EBPF_PROF_LAB_UBUNTU_MIRROR"
# apt names each source's InRelease file, whatever form its configuration has (one-line or deb822)
# and whether or not it ever fetched an index.
RELEASE = re.compile(r"'(\S+)/dists/(\S+)/InRelease'")


def parse_sources(text: str, codename: str) -> tuple[str, ...]:
    """Return the addresses in `apt-get update --print-uris` that may serve other suites too.

    Those that serve the running release itself come first; overlays (bookworm-security and the
    like) are no whole archives and are left out.
    """
    preferred: list[str] = []
    others: list[str] = []
    for address, suite in RELEASE.findall(text):
        if "-" not in suite and "/" not in suite:
            (preferred if suite == codename else others).append(address.rstrip("/"))
    return tuple(dict.fromkeys(preferred + others))


def parse_codename(text: str) -> str:
    """Return VERSION_CODENAME of an os-release file, "" if it names none."""
    for line in text.splitlines():
        key, _, value = line.partition("=")
        if key == "VERSION_CODENAME":
            return value.strip().strip("\"'")
    return ""


def read_mirrors() -> tuple[str, ...]:
    """Return the mirrors to try, best first: $EBPF_PROF_LAB_MIRROR, else apt's own."""
    configured = os.environ.get(ENVIRONMENT)
    if configured:
        return (configured.rstrip("/"),)
    command = ["apt-get", "update", "--print-uris"]
    sources = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    release = Path("/etc/os-release")
    codename = parse_codename(release.read_text()) if release.exists() else ""
    mirrors = parse_sources(sources, codename)
    if not mirrors:
        raise LabError(
            "apt on this machine knows no Debian mirror",
            f"configure one in /etc/apt/sources.list.d, or set {ENVIRONMENT} to its address",
        )
    return mirrors


def read_ubuntu_mirrors() -> tuple[str, ...]:
    """Return the Ubuntu archives to try: $EBPF_PROF_LAB_UBUNTU_MIRROR, else beside Debian's."""
    configured = os.environ.get(UBUNTU_ENVIRONMENT)
    if configured:
        return (configured.rstrip("/"),)
    mirrors = (mirror.rpartition("/") for mirror in read_mirrors())
    beside = tuple(f"{before}/ubuntu" for before, _, name in mirrors if name == "debian")
    if not beside:
        raise LabError("no Ubuntu archive is known", f"set {UBUNTU_ENVIRONMENT} to its address")
    return beside
