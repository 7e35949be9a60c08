"""The part of report.html on the run itself: headline, losses, stacks, names, cost."""

from __future__ import annotations

from profiler.model.profile import Profile
from profiler.renderers import numbers, quality_text
from profiler.renderers.labels import container_label
from profiler.renderers.markup import Markup, element, table
from profiler.renderers.thread_groups import thread_groups
from profiler.renderers.uses import all_lookups, container_uses


def tiles(profile: Profile) -> Markup:
    """Return the few numbers that come first."""
    shown = []
    if profile.threads:
        busiest = thread_groups(profile)[0]
        who = f"{len(busiest.threads):,} threads" if busiest.is_many else "the busiest thread"
        shown.append((numbers.percent(busiest.cpu_ratio), f"CPU of {who}, {busiest.title}"))
    uses = container_uses(profile)
    if uses and profile.window.duration_s > 0:
        share = uses[0].estimated_duration_ns / profile.window.duration_s / 1e9
        name = container_label(profile.containers[uses[0].container])
        shown.append((numbers.percent(share), f"of the window in lookups in {name}"))
        rate = all_lookups(profile).rate(profile.window.duration_s)
        shown.append((rate, "container lookups a second"))
    shown.append(
        (
            numbers.percent(profile.cost.measured_ratio),
            f"of one CPU was the cost, {_budget(profile)}",
        )
    )
    cards = [
        element("div", element("b", value), element("small", words), kind="tile")
        for value, words in shown
    ]
    return element("div", *cards, kind="tiles")


def quality(profile: Profile) -> Markup:
    """Return what was seen and lost, how good stacks and names are, and what the run cost."""
    titles = ("", "Fired", "Kept", "Filtered", "Lost", "Collided", "Truncated")
    rows = [
        ("samples", *quality_text.parts(profile.sample_accounting)),
        ("lookups", *quality_text.parts(profile.lookup_accounting)),
    ]
    notes = [element("p", note, kind=kind) for note, kind in quality_text.notes(profile)]
    cost = quality_text.cost_line(profile)
    return element(
        "section",
        element("h2", "Seen and lost"),
        element("p", "Fired = kept + filtered + lost + collided + truncated.", kind="faint"),
        table(titles, rows),
        *notes,
        element("p", cost.text, kind=cost.style),
    )


def _budget(profile: Profile) -> str:
    if profile.cost.budget_ratio is None:
        return "without a budget"
    return f"of {numbers.percent(profile.cost.budget_ratio)} allowed"
