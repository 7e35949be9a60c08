"""Every output of every example profile, as a literal file."""

from __future__ import annotations

import io

import pytest

from profiler.renderers import flamegraph, folded, json, text
from tests.examples import EXAMPLES

OUTPUTS = {
    "txt": text.render,
    "json": json.render,
    "cpu.folded": folded.render,
    "comparisons.folded": folded.render_comparisons,
    "cpu.svg": flamegraph.render,
    "comparisons.svg": flamegraph.render_comparisons,
}


@pytest.mark.parametrize("suffix", OUTPUTS)
@pytest.mark.parametrize("example", EXAMPLES)
def test_output_is_the_golden_one(golden, example: str, suffix: str) -> None:
    out = io.StringIO()
    OUTPUTS[suffix](EXAMPLES[example](), out)
    golden(f"{example}.{suffix}", out.getvalue())
