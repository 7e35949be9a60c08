"""An apt that reads one suite of one archive, and nothing of the host's own."""

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.mirror import read_mirrors

# The archive keyring's name ends in .pgp from Debian 13 on.
KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
)
ATTEMPTS = 3


def find_keyring() -> Path:
    """Return the keys that Debian's archive is signed with, or raise LabError."""
    for path in KEYRINGS:
        if path.exists():
            return path
    raise LabError(
        "Debian's archive keys are not installed", "apt-get install debian-archive-keyring"
    )


@dataclass(frozen=True, slots=True)
class Archive:
    """Where packages come from: which mirrors to try, and the keys that sign them."""

    read_mirrors: Callable[[], tuple[str, ...]]
    find_keyring: Callable[[], Path]


DEBIAN = Archive(read_mirrors, find_keyring)


class Apt:
    """An apt of its own: no state of the host's apt is read or written."""

    def __init__(self, work: Path, mirror: str, suite: str, keyring: Path) -> None:
        self.archives = work / "cache/archives"
        for directory in (work / "state/lists/partial", self.archives / "partial"):
            directory.mkdir(parents=True, exist_ok=True)
        (work / "status").touch()
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
