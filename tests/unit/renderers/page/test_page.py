from __future__ import annotations

import io

from profiler.renderers.graphs.flamegraph import read_asset
from profiler.renderers.page.markup import element
from profiler.renderers.page.page import write_page
from tests.hostile_names import HOSTILE_NAME


def test_a_page_holds_its_parts_and_assets_and_a_policy() -> None:
    out = io.StringIO()
    write_page(HOSTILE_NAME, [element("p", "words")], out, ["report.css"], ["report.js"])
    text = out.getvalue()
    assert "<p>words</p>\n" in text
    assert text.count(read_asset("report.css")) == text.count(read_asset("report.js")) == 1
    assert "default-src 'none'" in text
    assert text.count("<script") == 1
