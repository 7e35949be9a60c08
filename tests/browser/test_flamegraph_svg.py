"""The flame graphs as a user meets them: opened as files, zoomed, searched."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from profiler.renderers.graphs import flamegraph
from tests.browser.driver import ESCAPE, Browser
from tests.examples import EXAMPLES
from tests.hostile_names import HOSTILE_NAME

pytestmark = pytest.mark.browser

SHOWN = """
return Array.from(document.querySelectorAll("g.frame"))
  .filter((group) => getComputedStyle(group).display !== "none")
  .map((group) => [
    group.querySelector("title").textContent.split("\\n")[0],
    Math.round(group.querySelector("rect").getBoundingClientRect().left),
    Math.round(group.querySelector("rect").getBoundingClientRect().width),
  ]);
"""


def show(browser: Browser, folder: Path, example: str, render=flamegraph.render) -> str:
    """Open the example's flame graph from a file and return its address."""
    out = io.StringIO()
    render(EXAMPLES[example](), out)
    path = folder / "cpu.svg"
    path.write_text(out.getvalue(), encoding="utf-8")
    browser.open(path.as_uri())
    return path.as_uri()


def widths(browser: Browser) -> dict[str, tuple[int, int]]:
    """Return (left, width) in pixels of every visible frame by name."""
    return {name: (left, width) for name, left, width in browser.run(SHOWN)}


def frame(browser: Browser, name: str) -> str:
    """Return a selector of the first frame of that name."""
    index = browser.run(
        'return Array.from(document.querySelectorAll("g.frame")).findIndex((group) => '
        'group.querySelector("title").textContent.startsWith(arguments[0] + "\\n"))',
        name,
    )
    assert index >= 0, f"no frame {name}"
    return f".frames > g:nth-of-type({index + 1})"


def text(browser: Browser, selector: str) -> str:
    return browser.run("return document.querySelector(arguments[0]).textContent", selector)


def test_it_draws_every_frame_and_asks_for_nothing(browser, tmp_path) -> None:
    address = show(browser, tmp_path, "field_story")
    shown = browser.run(SHOWN)
    assert len(shown) == browser.run('return document.querySelectorAll("g.frame rect").length')
    assert shown[0] == ["all threads", 0, 1_280]
    assert shown[1] == ["do_monitor (chan_sip.so) (4733)", 0, 1_254]  # 5,814 of 5,935 samples
    labels = browser.run(
        'return Array.from(document.querySelectorAll("g.frame text"), (node) => node.textContent)'
    )
    assert "ast_taskprocessor_create_with_listener" in labels
    assert browser.errors() == []
    assert browser.requests() == [address]


def test_a_click_zooms_into_a_frame_and_reset_returns(browser, tmp_path) -> None:
    show(browser, tmp_path, "field_story")
    before = widths(browser)
    browser.click(frame(browser, "__libc_recvfrom"))
    zoomed = widths(browser)
    assert zoomed["__libc_recvfrom"] == zoomed["udp_recvmsg"] == (0, 1_280)
    assert zoomed["do_monitor"] == (0, 1_280)
    assert "handle_request_do" not in zoomed
    browser.click(".reset")
    assert widths(browser) == before


def test_zoomed_frames_show_names_that_had_no_room(browser, tmp_path) -> None:
    show(browser, tmp_path, "field_story")
    assert browser.run('return document.querySelectorAll("g.frame text").length') < len(
        browser.run(SHOWN)
    )
    browser.click(frame(browser, "asterisk (4720)"))
    assert text(browser, f"{frame(browser, 'asterisk+0x6db40')} text") == "asterisk+0x6db40"


def test_the_menu_shows_one_thread(browser, tmp_path) -> None:
    show(browser, tmp_path, "field_story")
    browser.type("select", "main")
    shown = widths(browser)
    assert set(shown) == {
        *("all threads", "main (4711)"),
        *("_start", "__libc_start_main", "main", "poll"),
    }
    assert set(shown.values()) == {(0, 1_280)}


def test_search_marks_frames_and_tells_the_share(browser, tmp_path) -> None:
    show(browser, tmp_path, "field_story")
    browser.type("input", "^tps_cmp|recvmsg$")
    assert text(browser, ".matched") == "matched: 89.05 %"  # 4,757 + 528 of 5,935 samples
    marked = browser.run(
        'return Array.from(document.querySelectorAll(".match title"), (node) => node.textContent)'
    )
    assert [title.split("\n")[0] for title in marked] == ["tps_cmp_cb", "udp_recvmsg"]


def test_nested_matches_count_once(browser, tmp_path) -> None:
    show(browser, tmp_path, "field_story")
    browser.type("input", "thread|monitor")
    assert text(browser, ".matched") == "matched: 100.00 %"


@pytest.mark.parametrize("pattern", ["[", "(", "*", "a{2,1}", "\\", "[stack truncated"])
def test_an_invalid_pattern_is_taken_as_plain_text(browser, tmp_path, pattern) -> None:
    show(browser, tmp_path, "hostile")
    browser.type("input", pattern)
    assert text(browser, ".matched").startswith("matched: ")
    assert browser.errors() == []


def test_control_f_searches_and_escape_ends_it(browser, tmp_path) -> None:
    show(browser, tmp_path, "field_story")
    browser.press_control("f")
    browser.press("j")
    assert browser.run('return document.querySelector("input").value') == "j"
    assert text(browser, ".matched") == "matched: 0.00 %"
    browser.press(ESCAPE)
    assert text(browser, ".matched") == ""


def test_the_mouse_shows_what_a_frame_weighs(browser, tmp_path) -> None:
    show(browser, tmp_path, "field_story")
    browser.hover(frame(browser, "udp_recvmsg"))
    assert text(browser, ".details") == "udp_recvmsg: 528 samples, 5.33 s, 8.90 %"


def test_hostile_names_are_only_text(browser, tmp_path) -> None:
    show(browser, tmp_path, "hostile")
    assert browser.run('return document.querySelectorAll("script").length') == 1
    title = text(browser, f"{frame(browser, 'leaf;with;semicolons')} title")
    assert title.startswith("leaf;with;semicolons\n")
    names = [name for name, _, _ in browser.run(SHOWN)]
    assert any(name.startswith(HOSTILE_NAME[:30]) for name in names)
    assert browser.errors() == []


def test_on_a_phone_the_controls_take_several_lines(browser, tmp_path) -> None:
    browser.resize(390, 800)
    show(browser, tmp_path, "field_story")
    bottom = browser.run(
        'return document.querySelector(".flame-bar").getBoundingClientRect().bottom'
    )
    top = browser.run('return document.querySelector("g.frame rect").getBoundingClientRect().top')
    assert 90 < bottom < top


@pytest.mark.parametrize("example", EXAMPLES)
def test_comparisons_open_without_error(browser, tmp_path, example) -> None:
    show(browser, tmp_path, example, flamegraph.render_comparisons)
    assert browser.errors() == []
