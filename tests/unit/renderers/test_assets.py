from __future__ import annotations

import pytest

from profiler.renderers.assets import read_asset


@pytest.mark.parametrize("name", ["flamegraph.css", "flamegraph.js", "report.css"])
def test_assets_can_be_put_into_a_page_as_they_are(name: str) -> None:
    """Nothing in them ends the element or the CDATA section that they are put into."""
    text = read_asset(name)
    assert text.isascii() and text.endswith("\n")
    assert "</" not in text and "]]>" not in text and "<!--" not in text
