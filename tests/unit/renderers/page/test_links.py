from __future__ import annotations

from dataclasses import replace

from profiler.model.subject import Subject
from profiler.renderers.page import links
from profiler.renderers.page.tables import Link
from tests import examples


def targets(found: tuple[Link, ...]) -> list[str]:
    return [one.target for one in found]


def test_a_finding_leads_to_its_container_its_call_sites_and_the_flame_graph() -> None:
    story = examples.field_story()
    finding = next(one for one in story.findings if one.id == "long-chain")
    address = f"{story.containers[0].address:x}"
    found = links.finding_links(story, finding)
    assert found[0].target == f"container-{address}"
    assert f"site-{address}-0" in targets(found)
    frame = next(one for one in found if one.target == "cpu-graph").frame
    assert frame in [site.function for site in story.containers[0].call_sites]


def test_a_finding_on_a_thread_leads_to_its_row_and_its_lane() -> None:
    story = examples.field_story()
    finding = next(one for one in story.findings if one.id == "busy-thread")
    assert links.finding_links(story, finding) == (
        Link("do_monitor (chan_sip.so) (4733)", "thread-4733"),
        Link("flame graph", "cpu-graph", "do_monitor (chan_sip.so) (4733)"),
    )


def test_a_finding_on_an_operation_that_no_lookup_explains_leads_to_it() -> None:
    story = examples.field_story()
    finding = replace(story.findings[0], subject=Subject(places=("config.c:1234 loads",)))
    assert targets(links.finding_links(story, finding)) == [
        "operation-ao2_link-config.c-1234-loads"
    ]


def test_rows_lead_back_to_findings() -> None:
    story = examples.field_story()
    on_threads = links.thread_links(story, story.thread_groups[0])
    on_container = links.container_links(story, story.containers[0])
    assert "finding-busy-thread" in targets(on_threads)
    assert "finding-long-chain" in targets(on_container)
    assert "comparisons-graph" in targets(on_container)


def test_findings_of_one_kind_are_counted() -> None:
    story = examples.field_story()
    twice = replace(story, findings=(story.findings[0],) * 2)
    first, second = links.finding_anchors(twice)
    assert second == f"{first}-2"


def test_nothing_leads_to_a_frame_that_is_not_drawn() -> None:
    assert links.function_graph(examples.field_story(), "never_sampled") == ()


def test_an_inferred_name_is_found_in_the_flame_graph() -> None:
    story = examples.field_story()
    stacks = tuple(replace(one, frames=("~asks", *one.frames)) for one in story.stacks)
    (found,) = links.function_graph(replace(story, stacks=stacks), "asks")
    assert found.frame == "~asks"
