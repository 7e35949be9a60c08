from __future__ import annotations

import io
from types import ModuleType

import pytest

from profiler.cli import leak_reports
from profiler.renderers.exports import leaks_json
from profiler.renderers.terminal import leaks_text
from profiler.report.leaks.leaks_profile import leaks_profile
from tests.leak_examples import RECORDING


@pytest.mark.parametrize(("as_json", "renderer"), [(False, leaks_text), (True, leaks_json)])
def test_it_is_shown_as_text_or_for_programs(
    as_json: bool, renderer: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = io.StringIO()
    renderer.render(leaks_profile(RECORDING), shown)
    leak_reports.show(RECORDING, as_json)
    assert capsys.readouterr() == (shown.getvalue(), "")
