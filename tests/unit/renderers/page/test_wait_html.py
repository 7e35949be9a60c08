from __future__ import annotations

from dataclasses import replace

from profiler.renderers.page.sections import draw
from profiler.renderers.page.wait_html import locks, off_cpu
from tests import examples


def test_there_is_no_section_where_nobody_looked() -> None:
    assert off_cpu(examples.empty()) is None
    assert locks(examples.empty()) is None


def test_there_are_no_locks_where_nobody_waited_for_one() -> None:
    profile = examples.contended()
    assert profile.off_cpu is not None
    assert locks(replace(profile, off_cpu=replace(profile.off_cpu, locks=()))) is None


def test_a_lock_says_who_had_it_and_who_waits() -> None:
    section = locks(examples.contended())
    assert section is not None
    page = draw(section)
    assert "held by session_do -&gt; action_status" in page
    assert "waits in pbx_thread -&gt; __ast_channel_alloc_ap" in page
    assert "10 threads waited" in page


def test_places_that_are_no_idle_waiting_come_first() -> None:
    section = off_cpu(examples.contended())
    assert section is not None
    page = draw(section).partition("By place")[2]
    assert page.index("sqlite3_step") < page.index("ast_cond_wait")


def test_hostile_names_stay_text() -> None:
    sections = (off_cpu(examples.poisoned()), locks(examples.poisoned()))
    assert all(part is not None and "<script>" not in draw(part) for part in sections)
