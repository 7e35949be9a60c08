from __future__ import annotations

import io
from dataclasses import replace

from profiler.renderers.graphs.wait_graph import (
    page_graph,
    render,
    wait_graph,
    wait_kind,
    wait_lanes,
)
from tests import examples


def test_it_shows_roles_without_idle_waiting() -> None:
    graph = wait_graph(examples.contended())
    lanes = [node.label for node in graph.tree.nodes if node.depth == 1]
    assert lanes == [
        "session_do (6 threads)",
        "pbx_thread (4 threads)",
        "cdr_main (1 thread)",
        "do_monitor (1 thread)",
    ]
    assert graph.caption.endswith(
        "without 109 s of idle waiting: 137 waits seen in 100 % of the time, 0 lost"
    )


def test_the_last_frame_says_for_what_how_often_and_how_long() -> None:
    labels = [node.label for node in wait_graph(examples.contended()).tree.nodes]
    assert (
        "[lock: channels (ast_channel_cmp_cb) (mutex at 0x7f3a5c001258); 24 waits, p50 1.07 s, "
        "p99 2.40 s, longest 2.40 s]"
    ) in labels


def test_weights_are_microseconds_of_all_waits() -> None:
    profile = examples.contended()
    assert profile.off_cpu is not None
    lanes = [
        lane
        for is_idle in (False, True)
        for lane in wait_lanes(profile, is_idle=is_idle, last_frame=wait_kind)
    ]
    total_ns = sum(one.time_ns for one in profile.off_cpu.stacks)
    assert sum(lane.weight for lane in lanes) == round(total_ns / 1e3)
    graph = wait_graph(profile)
    assert graph.weigh(graph.tree.nodes[0]) == "33.5 s, 100.00 %"


def test_the_page_has_the_same_graph() -> None:
    profile = examples.contended()
    assert page_graph(profile).tree == wait_graph(profile).tree


def test_it_says_that_nobody_looked_or_nobody_waited() -> None:
    assert wait_graph(examples.empty()).nothing == "Nobody looked when threads did not run."
    profile = examples.contended()
    assert profile.off_cpu is not None
    idle = replace(profile, off_cpu=replace(profile.off_cpu, stacks=()))
    assert wait_graph(idle).nothing.startswith("Nobody waited but for work")
    out = io.StringIO()
    render(idle, out)
    assert "Nobody waited but for work" in out.getvalue()
