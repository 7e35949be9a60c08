"""How long Chromium needs for the largest page: `python -m bench.page`. Needs no root."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from bench.tables import Table, promise
from profiler.renderers.page.html import render
from tests.browser.driver import Browser, chromium
from tests.unit.renderers.largest import largest

TURNS = 5
_LIMIT_S = 2.0
_LIMIT_MB = 5.0
# From the request to the end of the load event, by which scripts have run; then one frame.
_OPENED_MS = """
const done = arguments[0];
requestAnimationFrame(() => setTimeout(() => done(performance.now())));
"""


def main() -> None:
    """Print the size of the page, and how long it takes until it is drawn."""
    with tempfile.TemporaryDirectory() as folder, chromium(Path(folder) / "profile") as browser:
        page = Path(folder) / "report.html"
        with page.open("w", encoding="utf-8") as out:
            render(largest(), out)
        opened_s = [_open(browser, page.as_uri()) for _ in range(TURNS)]
        size_mb = page.stat().st_size / 1e6
    median_s = statistics.median(opened_s)
    row = (f"{size_mb:.1f} MB", f"{median_s:.2f} s", f"{max(opened_s):.2f} s")
    verdicts = (
        promise("the largest page is below 5 MB", size_mb < _LIMIT_MB),
        promise("it opens below 2 s", median_s < _LIMIT_S),
    )
    print(Table("page", ("size", "opened, median", "longest"), (row,), verdicts).text())


def _open(browser: Browser, address: str) -> float:
    """Return how long it takes until the page is drawn."""
    browser.open("about:blank")
    browser.open(address)
    return float(browser.wait(_OPENED_MS)) / 1000


if __name__ == "__main__":
    main()
