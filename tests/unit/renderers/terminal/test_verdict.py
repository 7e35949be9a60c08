from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profiler.findings.ranking import find
from profiler.model.finding import Finding, Severity
from profiler.model.profile import Profile, Thread, ThreadPath
from profiler.renderers.terminal import verdict
from tests import examples


def shown(profile: Profile, width: int = 80) -> list[str]:
    return [line.text for line in verdict.lines(profile, width)]


def finding(rank: int, severity: Severity = Severity.CPU) -> Finding:
    title = f"finding {rank} " + "has a title of two lines " * 5
    return Finding("test", rank, title.strip(), (f"figures {rank}",), 0.5, f"do {rank}", severity)


def with_findings(*findings: Finding, warnings: tuple[str, ...] = ()) -> Profile:
    return replace(examples.field_story(), findings=findings, warnings=warnings)


def busy_pbx() -> Profile:
    """Return a PBX with everything at once: all kinds of findings, many threads, a warning."""
    story = examples.field_story()
    threads = [
        Thread(tid, "asterisk", f"worker_{tid} (res_pjsip.so)", 0.9 / tid, 0.3, 90)
        for tid in range(1, 40)
    ]
    grown = tuple(
        replace(story.containers[1], address=number, elements_start=1, elements_end=99)
        for number in range(20)
    )
    profile = examples.with_threads(story, *threads)
    profile = replace(profile, containers=(*story.containers, *grown), warnings=("word " * 60,))
    return replace(profile, findings=find(profile))


@pytest.mark.parametrize("make", [*examples.EXAMPLES.values(), busy_pbx])
@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_it_fits_one_screen(make, width: int) -> None:
    lines = shown(make(), width)
    assert len(lines) <= 22
    assert all(len(line) <= width for line in lines)


def test_a_narrow_terminal_is_taken_for_a_high_one() -> None:
    story = examples.field_story()
    lines = shown(story, 40)
    assert 22 < len(lines) <= 44
    assert lines[-1].endswith("--full") or lines[-1] == "--full"
    assert all(len(line) <= 40 for line in lines)


@settings(max_examples=30, suppress_health_check=list(HealthCheck), deadline=None)
@given(st.integers(0, 12), st.lists(st.text(max_size=400), max_size=5), st.integers(80, 200))
def test_any_number_of_findings_and_warnings_fits_one_screen(
    count: int, warnings: list[str], width: int
) -> None:
    findings = (finding(rank) for rank in range(1, count + 1))
    lines = shown(with_findings(*findings, warnings=tuple(warnings)), width)
    assert len(lines) <= 22


def test_findings_are_named_before_the_first_is_explained() -> None:
    few = shown(with_findings(*map(finding, (1, 2))))
    assert "    figures 1" in few and "    -> do 2" in few
    some = shown(with_findings(*map(finding, (1, 2, 3, 4))))
    assert [f" {rank}. finding {rank} " in "\n".join(some) for rank in (1, 2, 3, 4)] == [True] * 4
    assert ("    -> do 1" in some, "    figures 1" in some) == (True, False)


def test_what_does_not_fit_is_counted() -> None:
    many = shown(with_findings(*map(finding, range(1, 12)), warnings=("of something",)))
    assert many[-1].startswith("6 findings and 1 warning more: report.html, or ebpf-prof report ")
    assert shown(with_findings(finding(1)))[-1] == (
        "all of it: report.html, or ebpf-prof report FOLDER --full"
    )


def test_notes_have_no_advice() -> None:
    lines = shown(with_findings(finding(1, Severity.NOTE)))
    assert "    -> do 1" not in lines
    assert "    figures 1" in lines


def test_warnings_are_there_if_there_is_room() -> None:
    assert "  ! of something" in shown(with_findings(finding(1), warnings=("of something",)))


def test_the_busiest_threads_are_below_the_total() -> None:
    story = examples.field_story()
    alike = [Thread(tid, "asterisk", "worker", 0.1, 0.0, 9) for tid in range(1, 5)]
    others = [Thread(7, "SIP", None, 0.06, 0.0, 9), Thread(8, "timer", None, 0.02, 0.0, 9)]
    lines = shown(examples.with_threads(story, *alike, *others))
    at = lines.index(next(line for line in lines if line.startswith("CPU: ")))
    assert lines[at + 1 : at + 4] == ["   40.0 %  worker ×4", "    6.0 %  SIP", ""]


def test_a_busy_thread_shows_its_path_if_there_is_room() -> None:
    story = with_findings(finding(1))
    (first, *others) = story.thread_groups
    first = replace(first, paths=(ThreadPath(("handle", "__ao2_find"), 0.9),))
    story = replace(story, thread_groups=(first, *others))
    path = "           90 % in handle > __ao2_find"
    assert path in shown(story)
    assert path not in shown(replace(story, findings=tuple(map(finding, range(1, 12)))))
