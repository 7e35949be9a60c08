from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.model.profile import ChildProcesses, ChildrenUse, NamedStack
from profiler.model.recording import Socket
from profiler.renderers.words import labels
from tests import examples


@given(st.text())
def test_printable_text_is_one_line_of_printable_characters(text: str) -> None:
    assert labels.printable(text).isprintable()


def test_printable_text_is_left_alone_and_the_rest_is_escaped() -> None:
    assert labels.printable("größe <&>") == "größe <&>"
    assert labels.printable("a\nb\x1b[31m\u202e\udc80") == r"a\nb\x1b[31m\u202e\udc80"


@given(st.text(), st.integers(1, 40))
def test_clipped_text_is_never_wider(text: str, width: int) -> None:
    assert len(labels.clip(text, width)) <= width


def test_clipped_text_says_that_it_was_cut() -> None:
    assert labels.clip("abcdef", 4) == "abc…"
    assert labels.clip("abcd", 4) == "abcd"


def test_a_container_without_a_name_is_called_by_its_address() -> None:
    container = replace(examples.field_story().containers[0], name=None)
    assert labels.container_label(container) == "hash at 0x7f3a5c0012a8"


def test_a_call_site_without_a_place_is_called_by_its_function() -> None:
    known, unknown = (item.call_sites[0] for item in examples.field_story().containers)
    assert labels.call_site_label(unknown) == "sip_find_call"
    assert labels.call_site_label(known) == (
        "taskprocessor.c:776 ast_taskprocessor_create_with_listener"
    )
    assert labels.call_site_label(replace(known, line=None)).startswith("taskprocessor.c ast_")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("main", "user"),
        ("~build_peer", "inferred"),
        ("asterisk+0x6db40", "unnamed"),
        ("0x7f001234", "unnamed"),
        ("[unknown]", "unnamed"),
        ("[... more calls]", "truncated"),
    ],
)
def test_the_kind_of_a_frame_is_what_its_name_rests_on(name: str, kind: str) -> None:
    assert labels.frame_kind(name) == kind


def test_kernel_frames_are_those_at_the_leaf_end() -> None:
    stack = NamedStack(("main", "~read", "do_syscall_64"), 1, "no rule")
    assert labels.shown_frames(stack) == (
        ("[stack truncated: no rule]", "truncated"),
        ("main", "user"),
        ("~read", "inferred"),
        ("do_syscall_64", "kernel"),
    )


def test_what_the_kernel_does_for_a_probe_is_ours() -> None:
    for entry in ("asm_exc_int3", "uprobe_notify_resume", "__do_sys_uretprobe"):
        stack = NamedStack(("uprobe_notify_resume", "do_syscall_64", entry, "schedule"), 3, None)
        kinds = [kind for _, kind in labels.shown_frames(stack)]
        assert kinds == ["user", "kernel", "probe", "probe"]


def test_an_early_end_is_said() -> None:
    story = examples.field_story()
    assert labels.early_end(story) == ""
    assert labels.early_end(replace(story, stopped_by="interrupt")) == "Ended early: interrupt."
    assert labels.early_end(examples.hostile()) == "The process ended while it was recorded."
    restarted = replace(examples.hostile(), stopped_by="target restart")
    pid = restarted.target.pid
    assert labels.early_end(restarted) == (
        "The process restarted itself while it was recorded: this is the time before. "
        f"For what runs now: ebpf-prof asterisk -p {pid}"
    )


def test_when_it_ran_is_said_by_the_clock_of_its_machine() -> None:
    story = examples.field_story()
    assert labels.window_label(story) == "60.0 s from 2026-11-24 06:43:10 CET"
    older = replace(story, host=None)
    assert labels.window_label(older) == "60.0 s from 2026-11-24 05:43:10 UTC"


def test_the_machine_is_said_if_it_is_known() -> None:
    story = examples.field_story()
    assert labels.host_label(story) == "pbx1, Linux 6.1.0-28-amd64, 2 CPUs"
    assert labels.host_label(replace(story, host=None)) == ""


def test_names_of_the_machine_are_short_and_printable() -> None:
    for label in (labels.host_label, labels.window_label):
        said = label(examples.hostile())
        assert said.isprintable()
        assert len(said) < 200


def test_total_cpu_is_of_one_cpu_and_of_the_machine() -> None:
    story = replace(examples.field_story(), total_cpu_ratio=1.06)
    text = "106 % of one CPU, as top shows it"
    assert labels.total_cpu_label(story) == f"{text}; 53 % of all 2 CPUs"
    assert labels.total_cpu_label(replace(story, host=None)) == text
    single = replace(examples.HOST, cpus=1)
    assert labels.total_cpu_label(replace(story, host=single)) == text


def test_children_are_listed_if_they_used_something() -> None:
    seen = tuple(
        ChildProcesses(name, 12, ratio)
        for name, ratio in (("sox", 0.2), ("sh", 0.1), ("a", 0.04), ("b", 0.03), ("c", 0.02))
    )
    said = [
        labels.children_label(replace(examples.empty(), children=ChildrenUse(ratio, listed)))
        for ratio, listed in ((0.01, seen), (0.4, seen), (0.4, ()), (0.37, seen[:4]))
    ]
    assert said == [
        "",
        "Processes that it started used 40 % of a CPU: "
        "sox ×12 20 %, sh ×12 10 %, a ×12 4 %, b ×12 3 %, unseen 3 %",
        "Processes that it started used 40 % of a CPU: unseen 40 %",
        "Processes that it started used 37 % of a CPU: "
        "sox ×12 20 %, sh ×12 10 %, a ×12 4 %, b ×12 3 %",
    ]


def test_sockets_that_only_idled_are_counted() -> None:
    idle, busy = Socket("127.0.0.1:9", 0, 0.0, 0), Socket("127.0.0.1:9", 0, 0.0, 1)
    said = [
        labels.idle_sockets(replace(examples.empty(), sockets=sockets))
        for sockets in ((busy,), (idle,), (idle, idle), (busy, idle))
    ]
    assert said == [
        "",
        "1 UDP socket: queue empty, no drops.",
        "All 2 UDP sockets: queue empty, no drops.",
        "1 other UDP socket: queue empty, no drops.",
    ]
