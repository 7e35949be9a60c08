"""report.html as a user meets it."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest

from profiler.renderers.page.html import render
from tests.browser.driver import BACKSPACE, Browser
from tests.examples import EXAMPLES
from tests.unit.renderers.largest import largest

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


def open_all(browser: Browser) -> None:
    browser.run("for (const part of document.querySelectorAll('details')) { part.open = true; }")


def matched(browser: Browser) -> dict[str, str]:
    """Return what each flame graph says of a search, by its name."""
    script = (
        "return Array.from(document.querySelectorAll('svg.flame'),"
        "  (graph) => [graph.id, graph.querySelector('.matched').textContent])"
    )
    return dict(browser.run(script))


def is_seen(browser: Browser, selector: str) -> bool:
    """Return whether the top of the first element that matches is in the window."""
    top = "return document.querySelector(arguments[0]).getBoundingClientRect().top"
    return -1 <= browser.run(top, selector) < browser.run("return innerHeight")


def shown_rows(browser: Browser) -> int:
    return browser.run("return document.querySelectorAll('#containers tbody tr').length")


def status(browser: Browser) -> str:
    return browser.run("return document.querySelector('#containers [role=status]').textContent")


@pytest.mark.parametrize("example", EXAMPLES)
@pytest.mark.parametrize("width", [1_920, 1_280, 375])
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


@pytest.mark.parametrize(("width", "height"), [(1_280, 800), (375, 667)])
def test_it_is_at_most_four_screens_long(browser, tmp_path, width, height) -> None:
    browser.resize(width, height)
    show(browser, tmp_path, "field_story")
    assert browser.run("return document.documentElement.scrollHeight") <= 4 * height


@pytest.mark.parametrize("example", ["field_story", "hostile"])
def test_no_table_is_wider_than_a_desktop(browser, tmp_path, example) -> None:
    show(browser, tmp_path, example)
    open_all(browser)
    hidden = browser.run(
        "return Array.from(document.querySelectorAll('.scroll'),"
        "  (box) => box.scrollWidth - box.clientWidth)"
    )
    assert set(hidden) == {0}


def test_on_a_phone_name_and_share_of_time_are_seen_first(browser, tmp_path) -> None:
    browser.resize(375, 667)
    show(browser, tmp_path, "field_story")
    open_all(browser)
    assert (
        browser.run(
            'return document.querySelector("#containers b.bar").getBoundingClientRect().right'
        )
        <= 375
    )


def test_a_finding_leads_to_its_container_and_to_the_flame_graph_and_back(
    browser, tmp_path
) -> None:
    show(browser, tmp_path, "field_story")
    browser.click('#finding-long-chain a[href^="#container-"]')
    target = browser.run("return document.querySelector('.target').id")
    assert target.startswith("container-") and is_seen(browser, f"#{target}")
    browser.click(f'#{target} a[href="#finding-long-chain"]')
    assert is_seen(browser, "#finding-long-chain")
    browser.click('#finding-long-chain a[href="#cpu-graph"]')
    wanted = browser.run(
        "return document.querySelector('#finding-long-chain a[href=\"#cpu-graph\"]').dataset.frame"
    )
    assert browser.run('return document.querySelector("#cpu-graph input").value') == f"^{wanted}$"
    browser.click('#where-cpu-time-goes .leads a[href="#finding-long-chain"]')
    assert is_seen(browser, "#finding-long-chain")


def test_a_link_opens_the_part_that_is_closed(browser, tmp_path) -> None:
    address = show(browser, tmp_path, "field_story")
    assert not browser.run('return document.querySelector("#growth").open')
    browser.click('.contents a[href="#growth"]')
    assert is_seen(browser, "#growth table")
    browser.open("about:blank")
    browser.open(f"{address}#comparisons-graph")
    assert browser.run('return document.querySelector("#where-comparisons-come-from").open')
    assert frame_width(browser, "comparisons-graph", 0) > 1_000


def show_largest(browser: Browser, folder: Path) -> str:
    path = folder / "report.html"
    with path.open("w", encoding="utf-8") as out:
        render(largest(), out)
    browser.open(path.as_uri())
    return path.as_uri()


def test_all_rows_can_be_turned_to_searched_and_sorted(browser, tmp_path) -> None:
    show_largest(browser, tmp_path)
    assert shown_rows(browser) == 5
    assert status(browser) == "1 to 5 of 10,000"
    browser.type("#containers .table-bar input", "7F3A5C2BF340")
    assert (shown_rows(browser), status(browser)) == (1, "1 to 1 of 1")
    browser.click("#containers tbody a[href^='#site-']")
    assert is_seen(browser, "#site-7f3a5c2bf340-0")
    browser.type("#containers .table-bar input", BACKSPACE * 12)
    assert status(browser) == "1 to 5 of 10,000"
    time_each = "return document.querySelector('#containers td:nth-child(7) b').textContent"
    browser.click("#containers th:nth-child(7) button")
    assert browser.run(time_each) == "71.0 us"
    browser.click("#containers th:nth-child(7) button")
    assert browser.run(time_each) == "<1.02 us"
    assert browser.errors() == []


def test_a_row_that_is_data_looks_like_one_that_is_written(browser, tmp_path) -> None:
    show_largest(browser, tmp_path)
    written = browser.run(
        "return document.querySelector('#containers tbody tr:nth-child(5)').outerHTML"
    )
    for _ in range(20):
        browser.click("#containers .table-bar button:nth-of-type(2)")
    made = browser.run(
        "return document.querySelector('#containers tbody tr:nth-child(5)').outerHTML"
    )

    def shape(row: str) -> list[str]:
        bare = re.sub(r' (id|style)="[^"]*"| class=""|</?a[^>]*>', "", row)
        return re.findall(r"<[^>]+>", bare)

    assert shape(made) == shape(written)


def test_hostile_names_are_only_text_in_rows_that_are_data(browser, tmp_path) -> None:
    profile = EXAMPLES["hostile"]()
    many = tuple(replace(profile.containers[0], address=index) for index in range(150))
    path = tmp_path / "report.html"
    with path.open("w", encoding="utf-8") as out:
        render(replace(profile, containers=many), out)
    browser.open(path.as_uri())
    for _ in range(29):
        browser.click("#containers .table-bar button:nth-of-type(2)")
    assert status(browser) == "146 to 150 of 150"
    assert "<script>alert('x')</script>" in browser.run(
        "return document.querySelector('#containers tbody').textContent"
    )
    assert browser.run('return document.querySelectorAll("script").length') == 1
    assert browser.errors() == []


def test_it_can_be_read_without_scripts(browser, tmp_path) -> None:
    browser.command("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        show(browser, tmp_path, "field_story")
    finally:
        browser.command("Emulation.setScriptExecutionDisabled", {"value": False})
    assert browser.run("return document.querySelectorAll('#containers tbody tr').length") == 2
    assert browser.run("return document.querySelectorAll('.table-bar').length") == 0
    drawn = "return document.querySelector('#cpu-graph .frames').getBoundingClientRect().width"
    assert browser.run(drawn) > 1_000


def test_each_flame_graph_zooms_and_searches_alone(browser, tmp_path) -> None:
    show(browser, tmp_path, "field_story")
    open_all(browser)
    other = frame_width(browser, "comparisons-graph", 1)
    first, second = frame_width(browser, "cpu-graph", 0), frame_width(browser, "cpu-graph", 1)
    assert second < first
    browser.click("#cpu-graph g.frame:nth-of-type(2)")
    assert frame_width(browser, "cpu-graph", 1) == first
    assert frame_width(browser, "comparisons-graph", 1) == other
    browser.type("#comparisons-graph input", "__ao2_find")
    assert matched(browser) == {
        "cpu-graph": "",
        "off-cpu-graph": "",
        "comparisons-graph": "matched: 100.00 %",
    }


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
