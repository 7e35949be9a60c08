"""What `make run` and `make test` say before they install anything."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "lab" / "provision.sh"
FAKES = {
    "id": "echo 0",
    "dpkg-query": 'echo "$STATE"',
    "apt-get": 'echo "apt-get $*" >&2',
    "npm": 'echo "npm $*" >&2',
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a folder like a fresh clone, whose programs only say that they were called."""
    (tmp_path / "lab").mkdir()
    shutil.copy(SCRIPT, tmp_path / "lab")
    (tmp_path / "setup.cfg").touch()
    (tmp_path / "tests" / "browser").mkdir(parents=True)
    python = 'echo "python $*" >&2'
    for path, text in {
        **{f"bin/{name}": text for name, text in FAKES.items()},
        ".venv/bin/python": python,
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / path).chmod(0o755)
    return tmp_path


def provision(checkout: Path, purpose: str, state: str) -> list[str]:
    """Return the lines that it says, those of the programs that it starts included."""
    path = f"{checkout / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        [checkout / "lab" / "provision.sh", purpose],
        env={"PATH": path, "STATE": state},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stderr.splitlines()


@pytest.mark.parametrize("purpose", ["run", "test"])
def test_what_is_installed_is_said_before(checkout: Path, purpose: str) -> None:
    lines = provision(checkout, purpose, "not installed")
    calls = [line for line in lines if line.split()[0] in ("apt-get", "npm", "python")]
    said = "\n".join(lines[: lines.index(calls[0])])
    assert calls[0].startswith("apt-get ")
    assert said.startswith("This is for a test machine")
    assert said.endswith("Ctrl-C stops this.")
    assert "by apt-get: python3 python3-venv python3-bpfcc " in said
    assert ".venv" in said
    assert ("by npm" in said) == (purpose == "test") == any(c.startswith("npm") for c in calls)


def test_nothing_is_said_where_nothing_is_installed(checkout: Path) -> None:
    provision(checkout, "run", "not installed")
    assert provision(checkout, "run", "install ok installed") == []
