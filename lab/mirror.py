"""The Debian mirror that this machine's apt is configured with."""

import os
import subprocess
from pathlib import Path

from lab.errors import LabError

ENVIRONMENT = "EBPF_PROF_LAB_MIRROR"
# apt reads both forms of its configuration (one-line and deb822) for us: apt-get(8), indextargets.
FORMAT = "$(REPO_URI) $(RELEASE) $(COMPONENT)"


def parse_targets(text: str, codename: str) -> tuple[str, ...]:
    """Return the addresses in lines of `URI RELEASE COMPONENT` that may serve other suites too.

    Those that serve the running release itself come first; overlays (bookworm-security and the
    like) are no whole archives and are left out.
    """
    preferred: list[str] = []
    others: list[str] = []
    for line in text.splitlines():
        fields = line.split()
        if len(fields) != 3 or fields[2] != "main" or "-" in fields[1] or "/" in fields[1]:
            continue
        (preferred if fields[1] == codename else others).append(fields[0].rstrip("/"))
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
    command = ["apt-get", "indextargets", "--format", FORMAT, "Created-By: Packages"]
    targets = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    release = Path("/etc/os-release")
    codename = parse_codename(release.read_text()) if release.exists() else ""
    mirrors = parse_targets(targets, codename)
    if not mirrors:
        raise LabError(
            "apt on this machine knows no Debian mirror",
            f"configure one in /etc/apt/sources.list.d, or set {ENVIRONMENT} to its address",
        )
    return mirrors
