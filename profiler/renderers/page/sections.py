"""The parts of the page, each under a title that opens and closes it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from profiler.renderers.page.anchors import slug
from profiler.renderers.page.markup import Markup, element, text


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page; closed at first unless it is worth the room."""

    title: str
    content: tuple[str, ...]
    is_open: bool = False

    @property
    def anchor(self) -> str:
        """The name that links to it go to."""
        return slug(self.title)


def section(title: str, *content: str, is_open: bool = False) -> Section:
    """Return a part of the page."""
    return Section(title, content, is_open)


def draw(part: Section) -> Markup:
    """Return a part as HTML."""
    state = " open" if part.is_open else ""
    summary = element("summary", element("h2", part.title))
    content = "".join(map(text, part.content))
    return Markup(
        f'<details class="section" id="{part.anchor}"{state}>{summary}{content}</details>'
    )


def contents(parts: Iterable[Section]) -> Markup:
    """Return links to all parts."""
    links = (f'<a href="#{part.anchor}">{text(part.title)}</a>' for part in parts)
    return Markup(f'<nav class="contents" aria-label="Contents">{" ".join(links)}</nav>')
