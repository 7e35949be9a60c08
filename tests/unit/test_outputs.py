from __future__ import annotations

import io

import pytest

from profiler.renderers.outputs import OUTPUTS
from tests.examples import EXAMPLES


def test_the_names_are_those_that_tools_rely_on() -> None:
    assert set(OUTPUTS) == {
        *("profile.json", "profile.speedscope.json", "report.html"),
        *("cpu.folded", "comparisons.folded", "cpu.svg", "comparisons.svg"),
    }


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("example", EXAMPLES)
def test_every_output_is_utf8_and_ends_with_a_line(example: str, name: str) -> None:
    out = io.StringIO()
    OUTPUTS[name](EXAMPLES[example](), out)
    text = out.getvalue()
    assert text.encode("utf-8").decode("utf-8") == text
    assert text.endswith("\n") or (example == "empty" and name.endswith(".folded"))
