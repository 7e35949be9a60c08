from __future__ import annotations

import html
import io
import re
from dataclasses import replace

import pytest

from profiler.model.profile import Profile
from profiler.renderers.graphs.flamegraph import comparison_graph, sample_graph
from profiler.renderers.page.html import render
from tests import examples
from tests.unit.renderers.largest import largest
from tests.unit.renderers.pages import Page


def written(profile: Profile) -> str:
    out = io.StringIO()
    render(profile, out)
    return out.getvalue()


@pytest.mark.parametrize("make", examples.EXAMPLES.values())
def test_it_loads_nothing_and_forbids_itself_to(make) -> None:
    page = Page(written(make()))
    attributes = [name for _, attrs in page.tags for name in attrs]
    assert not {"src", "srcset", "data", "action"} & set(attributes)
    links = [attrs["href"] for _, attrs in page.tags if "href" in attrs]
    assert all(re.fullmatch(r"#[a-z0-9_.-]+", link or "") for link in links)
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


@pytest.mark.parametrize("make", (*examples.EXAMPLES.values(), examples.poisoned))
def test_every_link_on_the_page_leads_somewhere(make) -> None:
    page = Page(written(make()))
    links = {attrs["href"] for _, attrs in page.tags if "href" in attrs}
    names = {f"#{attrs['id']}" for _, attrs in page.tags if "id" in attrs}
    assert links and links <= names


@pytest.mark.parametrize("make", examples.EXAMPLES.values())
def test_a_link_into_a_flame_graph_names_a_frame_that_is_drawn(make) -> None:
    text = written(make())
    drawn = {html.unescape(name) for name in re.findall(r"<title>(.*)\n", text)}
    wanted = {attrs["data-frame"] for _, attrs in Page(text).tags if "data-frame" in attrs}
    assert wanted <= drawn
    assert wanted or make is examples.empty


def test_the_contents_name_every_part() -> None:
    text = written(examples.field_story())
    contents = text[text.index("<nav") : text.index("</nav>")]
    assert re.findall(r">([^<]+)</a>", contents) == re.findall(r"<h2>(.*?)</h2>", text)


def test_no_sentence_of_the_page_is_cut() -> None:
    story = examples.field_story()
    sentence = "why " * 200 + "kernel.perf_event_paranoid"
    finding = replace(story.findings[0], title=sentence, evidence=(sentence,), advice=sentence)
    page = written(replace(story, findings=(finding,), warnings=(sentence,)))
    assert page.count(sentence) == 4


def test_the_page_of_the_largest_profile_stays_below_five_megabytes() -> None:
    profile = largest()
    graphs = sample_graph(profile), comparison_graph(profile)
    assert all(len(one.tree.nodes) + one.tree.left_out > 36_000 for one in graphs)
    page = written(profile)
    assert page.count("container-7f3a5c") > 90
    assert len(page.encode()) < 5_000_000


def test_a_thread_group_has_one_row() -> None:
    story = examples.field_story()
    calls = tuple(replace(story.threads[2], tid=5_000 + number) for number in range(1_500))
    page = written(examples.with_threads(story, *calls))
    assert "asterisk, 1,500 threads" in page
    assert "CPU of 1,500 threads, asterisk" in page
