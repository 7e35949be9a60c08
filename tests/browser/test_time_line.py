"""The time line of report.html: ranges that are chosen on it narrow the CPU flame graph."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest

from profiler.model.profile import NamedStack, Profile
from profiler.model.recording import Sample
from profiler.renderers.page.html import render
from tests import examples
from tests.browser.driver import ARROW_LEFT, ARROW_RIGHT, ESCAPE, Browser
from tests.example_times import SECOND_NS, START_NS

pytestmark = pytest.mark.browser
FIRST_DRAWING = ".time-line svg"
SHOWN = """
return Array.from(document.querySelectorAll("#cpu-graph g.frame"))
  .filter((group) => getComputedStyle(group).display !== "none")
  .map((group) => [
    group.querySelector("title").textContent.split("\\n")[0],
    Math.round(1000 * group.querySelector("rect").getBoundingClientRect().width
      / document.querySelector("#cpu-graph").getBoundingClientRect().width),
  ]);
"""


def story() -> Profile:
    """Return a minute of one thread: its stack is a;b for 30 s, then a;c, or a alone at 45 s."""
    stacks = (("a", "b"), ("a", "c"), ("a",))
    samples = tuple(
        Sample(START_NS + second * SECOND_NS + 1, 4733, 2 if second == 45 else int(second >= 30))
        for second in range(60)
        if second != 59
    )
    profile = replace(
        examples.field_story(),
        stacks=tuple(NamedStack(frames, 0, None) for frames in stacks),
        samples=samples,
        lookup_stacks=(),
        off_cpu=None,  # its waits have the stacks that are replaced
    )
    return examples.with_sample_bins(profile)


def show(browser: Browser, folder: Path) -> None:
    out = io.StringIO()
    render(story(), out)
    path = folder / "report.html"
    path.write_text(out.getvalue(), encoding="utf-8")
    browser.open(path.as_uri())
    browser.run(f"document.querySelector('{FIRST_DRAWING}').scrollIntoView()")


def shown(browser: Browser) -> dict[str, int]:
    """Return the widths of the frames that are seen, in thousandths; the lane is left out."""
    return {name: width for name, width in browser.run(SHOWN) if "4733" not in name}


def text(browser: Browser, selector: str) -> str:
    script = "const found = document.querySelector(arguments[0]); return found.textContent"
    return browser.run(script, selector)


def is_hidden(browser: Browser, selector: str) -> bool:
    return browser.run("return document.querySelector(arguments[0]).hidden", selector)


ALL = {"all threads": 1_000, "a": 1_000, "b": 508, "c": 475}  # of 59 samples


def test_at_first_the_whole_window_is_shown(browser, tmp_path) -> None:
    show(browser, tmp_path)
    assert shown(browser) == ALL
    assert is_hidden(browser, ".range") and is_hidden(browser, ".chosen")
    assert browser.errors() == []


def test_dragging_shows_the_samples_of_a_range_only(browser, tmp_path) -> None:
    show(browser, tmp_path)
    browser.drag(FIRST_DRAWING, 40.5 / 60, 49.5 / 60)
    assert shown(browser) == {"all threads": 1_000, "a": 1_000, "c": 900}
    words = "Only 40 to 50 s of the window: 10 samples."
    assert text(browser, ".range").startswith(words)
    assert text(browser, ".chooser [role=status]") == "40 to 50 s: 10 samples"
    browser.drag(FIRST_DRAWING, 34.5 / 60, 20.5 / 60)
    assert shown(browser) == {"all threads": 1_000, "a": 1_000, "b": 667, "c": 333}
    assert browser.errors() == []


def test_a_range_says_what_frames_weigh_in_it(browser, tmp_path) -> None:
    show(browser, tmp_path)
    browser.drag(FIRST_DRAWING, 40.5 / 60, 49.5 / 60)
    assert text(browser, "#cpu-graph .details").startswith("all threads: 10 samples, ")
    assert text(browser, "#cpu-graph .details").endswith("100.00 % of 40 to 50 s")
    browser.press(ESCAPE)
    assert text(browser, "#cpu-graph .details").startswith("all threads: 59 samples, ")


@pytest.mark.parametrize("how", ["escape", "double click", "button"])
def test_a_range_can_be_given_up(browser, tmp_path, how) -> None:
    show(browser, tmp_path)
    browser.drag(FIRST_DRAWING, 0, 0.1)
    assert shown(browser) == {"all threads": 1_000, "a": 1_000, "b": 1_000}
    if how == "escape":
        browser.press(ESCAPE)
    elif how == "button":
        browser.click(".chooser button")
    else:
        browser.double_click(FIRST_DRAWING)
    assert shown(browser) == ALL
    assert is_hidden(browser, ".range") and is_hidden(browser, ".chosen")


def test_a_click_chooses_nothing(browser, tmp_path) -> None:
    show(browser, tmp_path)
    browser.drag(FIRST_DRAWING, 0.5, 0.5)
    assert shown(browser) == ALL


def test_a_range_can_be_chosen_with_the_keyboard_alone(browser, tmp_path) -> None:
    show(browser, tmp_path)
    browser.run("document.querySelector('.chooser .to').focus()")
    browser.press(*[ARROW_LEFT] * 31)
    assert text(browser, ".chooser [role=status]") == "0 to 29 s: 29 samples"
    assert "c" not in shown(browser)
    browser.run("document.querySelector('.chooser .from').focus()")
    browser.press(*[ARROW_RIGHT] * 28)
    assert text(browser, ".chooser [role=status]") == "28 to 29 s: 1 sample"
    browser.press(*[ARROW_RIGHT] * 2)  # the end goes along
    assert text(browser, ".chooser [role=status]") == "30 to 31 s: 1 sample"
    assert browser.run("return document.activeElement.getAttribute('aria-valuetext')") == "30.00 s"
    browser.press(ESCAPE)
    assert shown(browser) == ALL


def test_a_range_without_samples_says_so_and_leaves_the_graph_usable(browser, tmp_path) -> None:
    show(browser, tmp_path)
    browser.drag(FIRST_DRAWING, 59.2 / 60, 59.8 / 60)
    assert text(browser, ".range").startswith("Only 59 to 60 s of the window: 0 samples.")
    assert shown(browser) == {}
    assert "NaN" not in browser.run("return document.querySelector('#cpu-graph').textContent")
    browser.press(ESCAPE)
    assert shown(browser) == ALL
    assert browser.errors() == []


def test_a_zoomed_frame_stays_zoomed_if_it_has_samples_in_the_range(browser, tmp_path) -> None:
    show(browser, tmp_path)
    browser.run(
        "const frames = Array.from(document.querySelectorAll('#cpu-graph g.frame'));"
        "frames.find((frame) => frame.textContent.startsWith('c'))"
        "  .dispatchEvent(new MouseEvent('click', {bubbles: true}))"
    )
    browser.drag(FIRST_DRAWING, 20.5 / 60, 39.5 / 60)
    assert shown(browser) == {"all threads": 1_000, "a": 1_000, "c": 1_000}
    browser.drag(FIRST_DRAWING, 0, 0.1)
    assert shown(browser) == {"all threads": 1_000, "a": 1_000, "b": 1_000}


@pytest.mark.parametrize("width", [1_280, 375])
def test_all_drawings_share_the_time_axis(browser, tmp_path, width) -> None:
    browser.resize(width, 800)
    show(browser, tmp_path)
    sides = browser.run(
        "return Array.from(document.querySelectorAll('.time-line svg, .time-line .axis'),"
        " (one) => { const {left, right} = one.getBoundingClientRect(); return [left, right]; })"
    )
    assert len({tuple(side) for side in sides}) == 1
    assert browser.run("return document.documentElement.scrollWidth") == width
