"""Every output of every example profile, as a literal file."""

from __future__ import annotations

import io

import pytest

from profiler.renderers import text
from profiler.renderers.flamegraph import read_asset
from profiler.renderers.outputs import OUTPUTS
from tests.examples import EXAMPLES

# 5,935 samples, one by one, are no reading matter: tests/unit/test_speedscope.py checks them.
LITERAL = {name: render for name, render in OUTPUTS.items() if name != "profile.speedscope.json"}
LITERAL["terminal.txt"] = text.render
ASSETS = ("report.css", "flamegraph.css", "flamegraph.js")


@pytest.mark.parametrize("output", LITERAL)
@pytest.mark.parametrize("example", EXAMPLES)
def test_output_is_the_golden_one(golden, example: str, output: str) -> None:
    out = io.StringIO()
    LITERAL[output](EXAMPLES[example](), out)
    golden(f"{example}/{output}", without_assets(out.getvalue()))


def without_assets(output: str) -> str:
    """Put a line in the place of each style sheet and script, which must be there as they are."""
    for name in ASSETS:
        output = output.replace(read_asset(name), f"[{name}]\n")
    return output


@pytest.mark.parametrize(
    ("output", "assets"),
    [
        ("report.html", ["report.css", "flamegraph.css", "flamegraph.js"]),
        ("cpu.svg", ["flamegraph.css", "flamegraph.js"]),
        ("comparisons.svg", ["flamegraph.css", "flamegraph.js"]),
    ],
)
def test_an_output_holds_its_assets_once(output: str, assets: list[str]) -> None:
    out = io.StringIO()
    LITERAL[output](EXAMPLES["field_story"](), out)
    assert [out.getvalue().count(read_asset(name)) for name in assets] == [1] * len(assets)
