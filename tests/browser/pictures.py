"""Takes the pictures of README.md from the results of a run.

`.venv/bin/python -m tests.browser.pictures RESULTS docs/images`, behind `make run`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.browser.driver import chromium

# What is taken, under which name, and in which size: small enough to be read in a README.
PICTURES = (
    ("report.html", "report.png", 1_000, 740),
    ("cpu.svg", "flamegraph.png", 1_000, 460),
)


def take(results: Path, folder: Path) -> None:
    """Take a picture of each, in light colours."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as profile, chromium(Path(profile)) as browser:
        browser.open("about:blank")
        browser.prefer("light")
        for name, picture, width, height in PICTURES:
            browser.resize(width, height)
            browser.open((results / name).absolute().as_uri())
            browser.screenshot(folder / picture)


if __name__ == "__main__":
    take(Path(sys.argv[1]), Path(sys.argv[2]))
