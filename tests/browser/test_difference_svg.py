"""The flame graph of a difference as a user meets it: opened as a file, hovered, zoomed."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest

from profiler.model.profile import Profile
from profiler.renderers.graphs import difference_graph
from tests.browser.driver import Browser
from tests.browser.test_flamegraph_svg import frame, text, widths
from tests.examples import field_story, hostile

pytestmark = pytest.mark.browser


def repaired() -> Profile:
    """The field story without the walk through taskprocessors."""
    story = field_story()
    names = [stack.frames for stack in story.stacks]
    kept = tuple(one for one in story.samples if "tps_cmp_cb" not in names[one.stack])
    return replace(story, samples=kept)


def show(browser: Browser, folder: Path, before: Profile, after: Profile) -> str:
    """Open the graph from a file and return its address."""
    out = io.StringIO()
    difference_graph.render(before, after, out)
    path = folder / "diff.svg"
    path.write_text(out.getvalue(), encoding="utf-8")
    browser.open(path.as_uri())
    return path.as_uri()


def fill(browser: Browser, name: str) -> str:
    """Return the colour of the first frame of that name."""
    script = "return getComputedStyle(document.querySelector(arguments[0])).fill"
    return browser.run(script, f"{frame(browser, name)} rect")


def test_what_is_gone_is_blue_and_beside_the_rest(browser, tmp_path) -> None:
    address = show(browser, tmp_path, field_story(), repaired())
    assert fill(browser, "tps_cmp_cb") == "rgb(33, 102, 172)"
    assert fill(browser, "udp_recvmsg") == "rgb(217, 220, 224)"
    browser.hover(frame(browser, "tps_cmp_cb"))
    said = text(browser, ".details")
    assert said == "tps_cmp_cb: 80 % before, 0 % after of one CPU: -80.1 %"
    browser.click(frame(browser, "[only in BEFORE]"))
    assert widths(browser)["tps_cmp_cb"] == (0, 1_280)
    assert "udp_recvmsg" not in widths(browser)
    assert browser.errors() == []
    assert browser.requests() == [address]


def test_what_came_is_red(browser, tmp_path) -> None:
    show(browser, tmp_path, repaired(), field_story())
    assert fill(browser, "tps_cmp_cb") == "rgb(178, 24, 43)"


def test_hostile_names_are_only_text(browser, tmp_path) -> None:
    for before, after in ((hostile(), field_story()), (field_story(), hostile())):
        show(browser, tmp_path, before, after)
        assert browser.run('return document.querySelectorAll("script").length') == 1
        assert browser.errors() == []
