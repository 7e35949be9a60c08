"""The findings on the page: the worst ones in full, of the others the titles."""

from __future__ import annotations

from profiler.model.finding import Finding, Severity
from profiler.model.profile import Profile
from profiler.renderers.page.links import finding_anchors, finding_links
from profiler.renderers.page.markup import Markup, element, text
from profiler.renderers.page.sections import Section, section
from profiler.renderers.page.tables import link
from profiler.renderers.words.nothing import without_findings

_OPEN_MAX = 3  # findings that are shown in full at once


def findings(profile: Profile) -> Section:
    """Return a card for each finding."""
    anchors = zip(profile.findings, finding_anchors(profile), strict=True)
    cards = [
        _card(profile, finding, anchor, is_open=place < _OPEN_MAX)
        for place, (finding, anchor) in enumerate(anchors)
    ]
    if nothing := without_findings(profile):
        words, kind = nothing
        cards.insert(0, element("p", words, kind=kind))
    return section("Findings", *cards, is_open=True)


def _card(profile: Profile, finding: Finding, anchor: str, *, is_open: bool) -> Markup:
    links = finding_links(profile, finding)
    content = (
        element("summary", element("h3", f"{finding.rank}. {finding.title}")),
        *(element("p", line) for line in finding.evidence),
        element("p", finding.advice, kind="advice"),
        element("p", *map(link, links), kind="links") if links else "",
    )
    kind = "finding note" if finding.severity is Severity.NOTE else "finding"
    state = " open" if is_open else ""
    inside = "".join(map(text, content))
    return Markup(f'<details class="{kind}" id="{anchor}"{state}>{inside}</details>')
