"""report.html as a user meets it."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import pytest

from profiler.renderers.html import render
from tests.browser.driver import Browser
from tests.examples import EXAMPLES

pytestmark = pytest.mark.browser


def show(browser: Browser, folder: Path, example: str) -> str:
    out = io.StringIO()
    render(EXAMPLES[example](), out)
    path = folder / "report.html"
    path.write_text(out.getvalue(), encoding="utf-8")
    browser.open(path.as_uri())
    return path.as_uri()


def frame_width(browser: Browser, graph: str, index: int) -> float:
    script = (
        "return document.querySelectorAll(arguments[0])[arguments[1]].getBoundingClientRect().width"
    )
    return browser.run(script, f"#{graph} g.frame rect", index)


@pytest.mark.parametrize("example", EXAMPLES)
@pytest.mark.parametrize("width", [1_280, 390])
def test_it_opens_without_error_or_request_and_never_scrolls_sideways(
    browser, tmp_path, example, width
) -> None:
    browser.resize(width, 800)
    address = show(browser, tmp_path, example)
    assert browser.errors() == []
    assert browser.requests() == [address]
    assert browser.run("return document.documentElement.scrollWidth") == width
    assert browser.run('return document.querySelectorAll("script").length') == 1


def test_the_findings_can_be_read_without_scrolling(browser, tmp_path) -> None:
    show(browser, tmp_path, "field_story")
    bottom = browser.run('return document.querySelector(".finding").getBoundingClientRect().bottom')
    assert bottom < 800


def test_each_flame_graph_zooms_and_searches_alone(browser, tmp_path) -> None:
    show(browser, tmp_path, "field_story")
    other = frame_width(browser, "comparisons-graph", 1)
    first, second = frame_width(browser, "cpu-graph", 0), frame_width(browser, "cpu-graph", 1)
    assert second < first
    browser.click("#cpu-graph g.frame:nth-of-type(2)")
    assert frame_width(browser, "cpu-graph", 1) == first
    assert frame_width(browser, "comparisons-graph", 1) == other
    browser.type("#comparisons-graph input", "__ao2_find")
    assert browser.run(
        'return Array.from(document.querySelectorAll(".matched"), (node) => node.textContent)'
    ) == ["", "matched: 100.00 %"]


def test_it_has_a_light_and_a_dark_form(browser, tmp_path) -> None:
    show(browser, tmp_path, "field_story")
    script = "return getComputedStyle(document.body).backgroundColor"
    light = browser.run(script)
    browser.prefer("dark")
    assert (light, browser.run(script)) == ("rgb(255, 255, 255)", "rgb(20, 24, 31)")


def test_it_prints_on_a_few_pages(browser, tmp_path) -> None:
    show(browser, tmp_path, "field_story")
    printed = browser.command("Page.printToPDF", {"paperWidth": 8.27, "paperHeight": 11.69})
    pages = re.findall(rb"/Type\s*/Page\b", base64.b64decode(printed["data"]))
    assert 3 <= len(pages) <= 8
