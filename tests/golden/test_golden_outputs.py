"""Every output of every example profile, as a literal file."""

from __future__ import annotations

import io

import pytest

from profiler.renderers import text
from profiler.renderers.outputs import OUTPUTS
from tests.examples import EXAMPLES

# 5,935 samples, one by one, are no reading matter: tests/unit/test_speedscope.py checks them.
LITERAL = {name: render for name, render in OUTPUTS.items() if name != "profile.speedscope.json"}
LITERAL["terminal.txt"] = text.render


@pytest.mark.parametrize("output", LITERAL)
@pytest.mark.parametrize("example", EXAMPLES)
def test_output_is_the_golden_one(golden, example: str, output: str) -> None:
    out = io.StringIO()
    LITERAL[output](EXAMPLES[example](), out)
    golden(f"{example}/{output}", out.getvalue())
