from __future__ import annotations

import io

import pytest

from profiler.model.profile import Profile
from profiler.renderers.graphs.difference_graph import difference_graph
from profiler.renderers.page.difference_html import render
from profiler.report.difference import diff
from tests import examples
from tests.unit.renderers.exports.test_difference_json import changed
from tests.unit.renderers.pages import Page


def written(before: Profile, after: Profile) -> str:
    out = io.StringIO()
    render(diff(before, after), difference_graph(before, after), out)
    return out.getvalue()


@pytest.mark.parametrize("before", examples.EXAMPLES.values())
@pytest.mark.parametrize("after", examples.EXAMPLES.values())
def test_it_loads_nothing_and_names_add_no_element(before, after) -> None:
    page = Page(written(before(), after()))
    tags = [tag for tag, _ in page.tags]
    assert (tags.count("script"), tags.count("body"), tags.count("main")) == (1, 1, 1)
    assert not {"link", "img", "iframe", "object", "embed"} & set(tags)
    attributes = {name for _, attrs in page.tags for name in attrs}
    assert not {"src", "srcset", "data", "action"} & attributes
    policies = [attrs.get("content") or "" for tag, attrs in page.tags if tag == "meta"]
    assert any(policy.startswith("default-src 'none'") for policy in policies)


def test_it_holds_the_header_the_graph_and_what_changed() -> None:
    text = written(examples.field_story(), changed())
    for part in (
        "<tr><td>Asterisk</td><td>16.28.0</td><td>16.28.0</td></tr>",
        'id="difference-graph"',
        "<h2>Threads</h2>",
        '<i style="width:97.9%"></i><span>97.9 %</span>',
        "<span>-87.9 %</span>",
        "<h2>Containers</h2>",
        "<span>dialogs (dialog_cmp_cb)</span>",
        "<h2>Functions with what they call</h2>",
    ):
        assert part in text


def test_what_did_not_change_is_said_not_to() -> None:
    text = written(examples.field_story(), examples.field_story())
    assert '<p class="good">No change beyond the measurement error.</p>' in text
    assert "<h2>Threads</h2>" not in text
