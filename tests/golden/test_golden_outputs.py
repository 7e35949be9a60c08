"""Every output of every example profile, as a literal file."""

from __future__ import annotations

import io

import pytest

from profiler.renderers.exports.outputs import OUTPUTS
from profiler.renderers.graphs.flamegraph import read_asset
from profiler.renderers.terminal import text
from tests.examples import EXAMPLES

# 5,935 samples, one by one, are no reading matter: tests/unit/renderers checks them.
LITERAL = {name: render for name, render in OUTPUTS.items() if name != "profile.speedscope.json"}
LITERAL |= {"terminal.txt": text.render, "full.txt": text.render_full}
ASSETS = (
    "report.css",
    "flamegraph.css",
    "timeline.css",
    "flamegraph.js",
    "timeline.js",
    "report.js",
)


@pytest.mark.parametrize("output", LITERAL)
@pytest.mark.parametrize("example", EXAMPLES)
def test_output_is_the_golden_one(golden, example: str, output: str) -> None:
    out = io.StringIO()
    LITERAL[output](EXAMPLES[example](), out)
    golden(f"{example}/{output}", without_assets(out.getvalue()))


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_numbers_of_an_example_agree(example: str) -> None:
    profile = EXAMPLES[example]()
    containers = profile.containers
    assert profile.sample_accounting.seen == len(profile.samples) == profile.stack_quality.samples
    assert profile.lookup_accounting.seen == sum(one.lookups.measured for one in containers)
    assert profile.lookup_accounting.seen == profile.lookup_stack_quality.samples
    for quality in (profile.stack_quality, profile.lookup_stack_quality):
        assert quality.samples == quality.whole + sum(count for _, count in quality.by_cause)
    for one in containers:
        counts = one.lookups
        lost = counts.unverifiable + counts.contradicted + counts.truncated
        assert counts.measured == counts.verified + lost
        assert counts.verified == sum(count for *_, count in one.comparisons.histogram)
        assert counts.measured == sum(count for *_, count in one.duration_ns.histogram)
        if one.call_sites:
            assert counts.measured == sum(site.measured for site in one.call_sites)


@pytest.mark.parametrize("output", ["terminal.txt", "full.txt"])
@pytest.mark.parametrize("example", EXAMPLES)
def test_a_wide_terminal_is_used(golden, monkeypatch, example: str, output: str) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    out = io.StringIO()
    LITERAL[output](EXAMPLES[example](), out)
    golden(f"{example}/{output.replace('.', '-120.')}", out.getvalue())


def without_assets(output: str) -> str:
    """Put a line in the place of each style sheet and script, which must be there as they are."""
    for name in ASSETS:
        output = output.replace(read_asset(name), f"[{name}]\n")
    return output


@pytest.mark.parametrize(
    ("output", "assets"),
    [
        ("report.html", list(ASSETS)),
        ("cpu.svg", ["flamegraph.css", "flamegraph.js"]),
        ("comparisons.svg", ["flamegraph.css", "flamegraph.js"]),
        ("offcpu.svg", ["flamegraph.css", "flamegraph.js"]),
    ],
)
def test_an_output_holds_its_assets_once(output: str, assets: list[str]) -> None:
    out = io.StringIO()
    LITERAL[output](EXAMPLES["field_story"](), out)
    assert [out.getvalue().count(read_asset(name)) for name in assets] == [1] * len(assets)
