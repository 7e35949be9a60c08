from __future__ import annotations

from profiler.renderers.graphs import flamegraph
from profiler.renderers.page.graph_html import draw_graph
from tests import examples


def test_a_graph_has_its_caption_before_it_and_its_name() -> None:
    graph = flamegraph.page_graphs(examples.field_story())[0]
    text = str(draw_graph("some-graph", graph))
    assert text.startswith('<p class="faint">')
    assert 'id="some-graph"' in text
    assert text.count("<svg") == 1
