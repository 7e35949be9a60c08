from __future__ import annotations

import io
import json
from xml.etree import ElementTree

import pytest

from profiler.renderers.exports.outputs import OUTPUTS
from profiler.renderers.terminal import text
from tests.examples import EXAMPLES, poisoned


def test_the_names_are_those_that_tools_rely_on() -> None:
    assert set(OUTPUTS) == {
        *("profile.json", "profile.speedscope.json", "report.html"),
        *("cpu.folded", "comparisons.folded", "cpu.svg", "comparisons.svg"),
        *("offcpu.folded", "offcpu.svg"),
    }


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("example", EXAMPLES)
def test_every_output_is_utf8_and_ends_with_a_line(example: str, name: str) -> None:
    out = io.StringIO()
    OUTPUTS[name](EXAMPLES[example](), out)
    text = out.getvalue()
    assert text.encode("utf-8").decode("utf-8") == text
    assert text.endswith("\n") or (name.endswith(".folded") and not text)


@pytest.mark.parametrize("name", OUTPUTS)
def test_no_string_of_a_profile_breaks_an_output(name: str) -> None:
    """Every line is printable, so nothing reaches a terminal or a parser as a command."""
    out = io.StringIO()
    OUTPUTS[name](poisoned(), out)
    written = out.getvalue()
    assert all(line.isprintable() for line in written.split("\n"))
    if name.endswith(".json"):
        json.loads(written)
    elif name.endswith(".svg"):
        assert len(ElementTree.fromstring(written).findall(".//{*}script")) == 1
    elif name.endswith(".html"):
        assert written.count("<script>") == written.count("</script>") == 1
    else:
        assert all(line.rpartition(" ")[2].isdigit() for line in written.splitlines())


def test_no_string_of_a_profile_reaches_the_terminal_as_a_command() -> None:
    for render in (text.render, text.render_full):
        out = io.StringIO()
        render(poisoned(), out)
        assert all(line.isprintable() and len(line) <= 80 for line in out.getvalue().split("\n"))
