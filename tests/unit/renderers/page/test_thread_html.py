from __future__ import annotations

from dataclasses import replace

from profiler.renderers.page.sections import draw
from profiler.renderers.page.thread_html import sockets, threads
from tests import examples


def test_a_thread_shows_its_heaviest_paths() -> None:
    page = draw(threads(examples.field_story()))
    path = examples.field_story().thread_groups[0].paths[0]
    assert f"{path.ratio * 100:.0f} %  {path.frames[0]}" in page
    assert '<tr id="thread-4733">' in page


def test_that_waiting_is_not_known_is_said() -> None:
    story = examples.field_story()
    unknown = tuple(replace(one, run_delay_ratio=None) for one in story.thread_groups)
    assert "?: not known." in draw(threads(replace(story, thread_groups=unknown)))


def test_drops_stand_out() -> None:
    part = sockets(examples.field_story())
    assert part is not None
    assert '<b class="bad"><span>1,204</span></b>' in draw(part)
    assert sockets(examples.empty()) is None
