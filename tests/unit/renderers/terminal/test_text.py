from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profiler.model.profile import Profile
from profiler.model.recording import Socket
from profiler.renderers.terminal.text import render_full, report
from tests import examples


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(profile: Profile) -> str:
    out = io.StringIO()
    render_full(profile, out)
    return out.getvalue()


def test_an_order_by_comparisons_that_differs_is_shown() -> None:
    story = examples.field_story()
    assert "TOP CONTAINERS BY COMPARISONS" not in shown(story)
    slow = replace(story.containers[1], estimated_duration_ns=9e10)
    text = shown(replace(story, containers=(slow, story.containers[0])))
    by_time, by_comparisons = text.index("CONTAINERS BY TIME"), text.index("CONTAINERS BY COMP")
    assert text.index("dialogs (", by_time) < text.index("taskprocessors (", by_time)
    assert text.index("taskprocessors (", by_comparisons) < text.index("dialogs (", by_comparisons)


def sockets_section(*sockets: Socket) -> list[str]:
    text = shown(replace(examples.field_story(), sockets=sockets))
    return text[text.index("UDP SOCKETS") :].split("\n\n")[0].splitlines()[1:]


def test_of_many_busy_sockets_the_rest_is_counted() -> None:
    busy = [Socket(f"127.0.0.1:{port}", 900 - port, 1.0, 100 - port) for port in range(13)]
    idle = Socket("127.0.0.1:9", 0, 0.0, 0)
    *_, last, rest, idling = sockets_section(*busy, idle)
    assert last.split() == ["127.0.0.1:9", "891", "B", "1", "B", "91"]
    assert rest == "  and 3 more, together 267 drops"
    assert idling == "  1 other UDP socket: queue empty, no drops."


def test_a_thread_group_has_one_line() -> None:
    story = examples.field_story()
    calls = tuple(replace(story.threads[2], tid=5_000 + number) for number in range(1_500))
    text = shown(examples.with_threads(story, *story.threads[:2], *calls))
    assert re.search(r"^  asterisk +asterisk +×1,500 ", text, re.MULTILINE)
    assert "×N: threads that run the same; waits: of each on average" in text
    assert "×N: " not in shown(story)


def test_a_question_mark_is_explained_where_there_is_one() -> None:
    story = examples.field_story()
    assert "  ?: not known\n" in shown(story)
    known = tuple(replace(group, run_delay_ratio=0.0) for group in story.thread_groups)
    assert "?" not in shown(replace(story, thread_groups=known))


@pytest.mark.parametrize("make", examples.EXAMPLES.values())
def test_colour_on_a_terminal_changes_no_character(make, monkeypatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    out = Terminal()
    render_full(make(), out)
    assert "\x1b[1m" in out.getvalue()
    plain = out.getvalue()
    for code in ("\x1b[1m", "\x1b[1;31m", "\x1b[32m", "\x1b[2m", "\x1b[0m"):
        plain = plain.replace(code, "")
    assert plain == shown(make())


def test_a_terminal_that_knows_only_ascii_gets_ascii() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, "ascii")
    story = examples.field_story()
    render_full(replace(story, warnings=("größer",)), out)
    out.flush()
    assert b"gr\\xf6\\xdfer" in raw.getvalue()
    assert b"lookups      12,307/s +/- 2 %" in raw.getvalue()
    assert b"####" in raw.getvalue()


@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_numbers_fit_into_80_columns(data: st.DataObject) -> None:
    """Counts up to 2^64 everywhere: the widest that a kernel can report."""
    story = examples.field_story()
    big = data.draw(st.integers(0, 2**64 - 1))
    thread = replace(story.threads[0], tid=2**22, samples=big % 10**9, cpu_ratio=big % 10_000)
    worst = replace(story.containers[0], elements_end=big, estimated_comparisons=float(big))
    lines = report(replace(examples.with_threads(story, thread), containers=(worst,)), 80)
    assert max(len(line.text) for line in lines) <= 80


@pytest.mark.parametrize("make", examples.EXAMPLES.values())
@pytest.mark.parametrize("width", [40, 80, 100, 120, 200])
def test_no_line_is_wider_than_the_terminal(make, width: int) -> None:
    assert max(len(line.text) for line in report(make(), width)) <= width


@pytest.mark.parametrize("width", [40, 80, 100, 120, 200])
def test_no_name_is_cut(width: int) -> None:
    """Only those are that no Asterisk has: of more than 300 characters."""
    story = examples.field_story()
    name = "a_function_with_a_long_name_" * 10
    profile = replace(story, containers=(replace(story.containers[0], name=name),))
    text = "".join(line.text.strip() for line in report(profile, width))
    assert text.count(name) >= 4
    assert "…" not in text


def test_a_wide_terminal_is_filled() -> None:
    widths = (80, 100, 120, 200)
    story = examples.field_story()
    assert [max(len(line.text) for line in report(story, width)) for width in widths] == [*widths]
