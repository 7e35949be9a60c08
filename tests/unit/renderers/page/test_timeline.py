from __future__ import annotations

import re
from dataclasses import replace

from profiler.model.profile import Profile
from profiler.model.time_line import ContainerSizes, SampleBins, TimeLine
from profiler.renderers.graphs.flamegraph import sample_graph
from profiler.renderers.page.sections import draw
from profiler.renderers.page.timeline import time_line
from tests import examples

STORY = examples.field_story()


def drawn(profile: Profile) -> str:
    part = time_line(profile, sample_graph(profile).tree)
    return "" if part is None else draw(part)


def titles(profile: Profile) -> list[str]:
    return re.findall("<figcaption><b>([^<]*)</b>", drawn(profile))


def said(profile: Profile, title: str) -> str:
    (found,) = re.findall(f'aria-label="{title}: ([^"]*)"', drawn(profile))
    return found


def sized(*elements: tuple[int | None, ...]) -> Profile:
    """Return the story with nothing but containers of these sizes."""
    line = TimeLine(
        STORY.time_line.ends_ns[:3],
        containers=tuple(ContainerSizes(at % 2, sizes) for at, sizes in enumerate(elements)),
    )
    return replace(STORY, time_line=line, sample_bins=SampleBins())


def test_everything_that_was_followed_has_its_drawing() -> None:
    assert titles(STORY) == [
        "CPU by thread",
        "Lookups a second",
        "Comparisons per lookup",
        "Longest UDP receive queue",
        "Datagrams dropped",
        "Cost of measuring",
        "Elements in taskprocessors (tps_cmp_cb)",
    ]


def test_each_drawing_has_its_numbers_in_words() -> None:
    assert said(STORY, "Lookups a second") == "12,300 to 12,540, most at 6.0 s"
    assert said(STORY, "Comparisons per lookup") == "7,934 to 7,989, most at 59.0 s"
    assert said(STORY, "Longest UDP receive queue") == "0 B to 213 kB, most at 20.0 s"
    assert said(STORY, "Cost of measuring") == "0.8 % to 1 %, most at 8.0 s"
    assert "do_monitor (chan_sip.so) (4733) " in said(STORY, "CPU by thread")


def test_cpu_time_of_the_parts_is_that_of_the_process() -> None:
    areas = re.findall(r'<path class="group\d" d="([^"]*)"/>', drawn(STORY))
    assert len(areas) == len(STORY.sample_bins.groups) == 3
    highest = re.search("0 to ([^<]*) of a CPU", drawn(STORY))
    assert highest is not None
    in_one = max(map(sum, zip(*(one.samples for one in STORY.sample_bins.groups), strict=True)))
    ratio = in_one / len(STORY.samples) * STORY.cpu_ratio * 60
    assert highest[1] == f"{ratio * 100:.0f} %"


def test_the_areas_of_thread_groups_stand_one_upon_the_other() -> None:
    areas = dict(re.findall(r'<path class="(group\d)" d="([^"]*)"/>', drawn(STORY)))
    assert list(areas) == ["group2", "group1", "group0"]  # the largest is behind the others
    heights = [list(map(float, re.findall(r"V([\d.]+)H", area))) for area in areas.values()]
    assert all(
        last <= middle <= first
        for last, middle, first in zip(*heights, strict=True)  # downwards
    )
    assert heights[0] != heights[1] != heights[2]


def test_an_older_recording_shows_its_cpu_time() -> None:
    old = replace(STORY, time_line=TimeLine())
    assert titles(old) == ["CPU by thread"]
    assert "Lookups are counted" not in drawn(old)


def test_a_run_without_lookups_shows_the_others() -> None:
    line = replace(STORY.time_line, lookups_hz=(), verified=(), comparisons=(), containers=())
    shown = titles(replace(STORY, time_line=line))
    assert "Cost of measuring" in shown
    assert not [title for title in shown if "ookup" in title]


def test_where_nothing_is_known_there_is_no_time_line() -> None:
    assert drawn(examples.empty()) == ""


def test_quiet_sockets_are_not_drawn() -> None:
    line = replace(STORY.time_line, queue_bytes=(0,) * 60, drops=(0,) * 60)
    shown = titles(replace(STORY, time_line=line))
    assert not {"Longest UDP receive queue", "Datagrams dropped"} & set(shown)


def test_containers_that_stayed_as_they_were_are_left_out() -> None:
    made = sized((7, 7, None), (5, None, 6), (None, None, None))
    assert titles(made) == ["Elements in dialogs (dialog_cmp_cb)"]
    assert said(made, r"Elements in dialogs \(dialog_cmp_cb\)") == (
        "5 to 6, most at 2.0 s; 5 at first, 6 at last"
    )


def test_the_first_containers_are_shown_at_once_and_the_others_on_demand() -> None:
    made = drawn(sized(*((at, at + 1, at) for at in range(8))))
    before, after = made.split("<details><summary>3 more containers</summary>")
    assert (before.count("<figure"), after.count("<figure")) == (5, 3)


def test_without_samples_no_range_can_be_chosen() -> None:
    made = drawn(sized((1, 2, 3)))
    assert "data-samples" not in made
    assert "chooser" not in made


def test_hostile_names_stay_text() -> None:
    made = drawn(examples.hostile())
    assert "<script" not in made
    assert "&lt;script&gt;" in made
