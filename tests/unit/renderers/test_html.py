from __future__ import annotations

import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from profiler.model.profile import Profile
from profiler.renderers.html import render
from tests import examples


class Page(HTMLParser):
    """Collects the elements and the text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def written(profile: Profile) -> str:
    out = io.StringIO()
    render(profile, out)
    return out.getvalue()


@pytest.mark.parametrize("make", examples.EXAMPLES.values())
def test_it_loads_nothing_and_forbids_itself_to(make) -> None:
    page = Page(written(make()))
    attributes = [name for _, attrs in page.tags for name in attrs]
    assert not {"src", "href", "srcset", "data", "action"} & set(attributes)
    policy = next(
        attrs["content"] for tag, attrs in page.tags if tag == "meta" and "content" in attrs
    )
    assert policy is not None and policy.startswith("default-src 'none'")
    assert not {"link", "img", "iframe", "object", "embed"} & {tag for tag, _ in page.tags}


@pytest.mark.parametrize("make", examples.EXAMPLES.values())
def test_names_add_no_element(make) -> None:
    tags = [tag for tag, _ in Page(written(make())).tags]
    assert tags.count("script") == 1
    assert tags.count("body") == tags.count("main") == 1


def test_every_section_is_there_the_findings_first() -> None:
    titles = re.findall(r"<h2>(.*?)</h2>", written(examples.field_story()))
    assert titles == [
        *("Findings", "Hot threads", "UDP sockets", "Containers", "Call sites"),
        *("Spread of lookups in the worst containers", "Growth"),
        *("Where CPU time goes", "Where comparisons come from", "Seen and lost"),
        "How this was made",
    ]


def test_a_thread_group_has_one_row() -> None:
    story = examples.field_story()
    calls = tuple(replace(story.threads[2], tid=5_000 + number) for number in range(1_500))
    page = written(replace(story, threads=calls))
    assert "asterisk, 1,500 threads of less than 1 % each" in page
    assert "CPU of 1,500 threads, asterisk" in page


def test_both_flame_graphs_are_inside_under_their_own_names() -> None:
    page = Page(written(examples.field_story()))
    graphs = [attrs["id"] for tag, attrs in page.tags if tag == "svg" and "id" in attrs]
    assert graphs == ["cpu-graph", "comparisons-graph"]


def test_it_says_what_the_run_cost_and_where_it_came_from() -> None:
    text = "".join(Page(written(examples.field_story())).text)
    assert "cost to asterisk: 0.4 % of one CPU (budget 1 %)" in text
    assert "ebpf-prof asterisk --duration 60" in text
    assert "5c3fd1a7e0b94be0a5f1ee5d2f8a1b7c90de4421" in text


def test_a_run_that_saw_nothing_says_so() -> None:
    text = "".join(Page(written(examples.empty())).text)
    assert "Nothing was measured." in text
    assert "No container lookup was measured." in text
