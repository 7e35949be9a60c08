"""What `ebpf-prof leaks` prints, as literal files."""

from __future__ import annotations

import io

import pytest

from profiler.renderers.exports import leaks_json
from profiler.renderers.terminal import leaks_text
from tests.leak_profiles import EXAMPLES


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_report_is_the_golden_one(golden, example: str) -> None:
    out = io.StringIO()
    leaks_text.render(EXAMPLES[example](), out)
    golden(f"leaks/{example}.txt", out.getvalue())


def test_the_json_is_the_golden_one(golden) -> None:
    out = io.StringIO()
    leaks_json.render(EXAMPLES["leaking"](), out)
    golden("leaks/leaking.json", out.getvalue())
