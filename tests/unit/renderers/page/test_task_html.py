from __future__ import annotations

from dataclasses import replace

from profiler.findings.ranking import find
from profiler.model.profile import Profile
from profiler.model.tasks import Tasks
from profiler.renderers.page.links import finding_links
from profiler.renderers.page.sections import draw
from profiler.renderers.page.task_html import task_processors
from tests import task_examples as t
from tests.examples import empty
from tests.hostile_names import HOSTILE_NAME


def profile(known: Tasks) -> Profile:
    made = replace(empty(), tasks=t.shown(known))
    return replace(made, findings=find(made))


def drawn(known: Tasks) -> str:
    part = task_processors(profile(known))
    assert part is not None
    return str(draw(part))


def test_nobody_looked_is_no_section() -> None:
    assert task_processors(empty()) is None


def test_no_task_is_said() -> None:
    assert "No task was seen." in drawn(t.tasks((), ()))


def test_a_finding_and_its_row_lead_to_each_other() -> None:
    held = profile(t.held_up())
    page = drawn(t.held_up())
    (link,) = finding_links(held, held.findings[0])
    assert f'id="{link.target}"' in page
    assert 'href="#finding-slow-task"' in page


def test_hostile_names_stay_text() -> None:
    page = drawn(t.tasks((t.processor(f"<script>{HOSTILE_NAME}", 600),), ()))
    assert "<script" not in page
