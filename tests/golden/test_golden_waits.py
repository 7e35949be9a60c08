"""What `ebpf-prof waits` prints, as literal files."""

from __future__ import annotations

import io

import pytest

from profiler.renderers.exports import waits_json
from profiler.renderers.terminal import waits_text
from tests.wait_examples import EXAMPLES


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_report_is_the_golden_one(golden, example: str) -> None:
    out = io.StringIO()
    waits_text.render(EXAMPLES[example](), out)
    golden(f"waits/{example}.txt", out.getvalue())


def test_the_json_is_the_golden_one(golden) -> None:
    out = io.StringIO()
    waits_json.render(EXAMPLES["hostile"](), out)
    golden("waits/hostile.json", out.getvalue())
