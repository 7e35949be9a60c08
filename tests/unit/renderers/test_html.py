from __future__ import annotations

import io
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from profiler.model.profile import Profile
from profiler.renderers.html import render
from tests import examples


class Page(HTMLParser):
    """Collects the elements of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


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


def test_a_thread_group_has_one_row() -> None:
    story = examples.field_story()
    calls = tuple(replace(story.threads[2], tid=5_000 + number) for number in range(1_500))
    page = written(examples.with_threads(story, *calls))
    assert "asterisk, 1,500 threads" in page
    assert "CPU of 1,500 threads, asterisk" in page
