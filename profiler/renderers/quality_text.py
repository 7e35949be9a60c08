"""The part of the terminal report on what was seen, what was lost, and what the run cost."""

from __future__ import annotations

from profiler.model.profile import Profile, StackQuality
from profiler.model.recording import Accounting
from profiler.renderers import numbers
from profiler.renderers.labels import clip
from profiler.renderers.lines import WIDTH, Line, heading, wrapped
from profiler.renderers.tables import table
from profiler.renderers.uses import Estimate, all_lookups

UNNAMED_RATIO_MAX = 0.05  # above it, names are worth a hint

_CAUSES_MAX = 6


def lines(profile: Profile) -> list[Line]:
    """Return the loss accounting, the coverage, the quality of the stacks, and the cost."""
    titles = ("", "fired", "kept", "filtered", "lost", "collided", "truncated")
    rows = [(name, *parts(accounting)) for name, accounting in _measurements(profile)]
    made = heading("SEEN AND LOST", "fired = kept + filtered + lost + collided + truncated")
    made += [Line(text) for text in table(titles, rows, WIDTH)]
    for note, style in notes(profile):
        made += wrapped("  ", note, style)
    return [*made, Line(""), cost_line(profile)]


def notes(profile: Profile) -> list[tuple[str, str]]:
    """Return (sentence, style) for all that is to be said beside the accounting."""
    said = [
        (f"The {name} do not add up: this is a defect of ebpf-prof.", "bad")
        for name, accounting in _measurements(profile)
        if not accounting.balanced()
    ]
    if profile.containers:
        said += [(coverage(profile), ""), _verification(profile)]
    qualities = (
        ("sample stacks", profile.stack_quality),
        ("lookup stacks", profile.lookup_stack_quality),
    )
    said += [(_stacks(name, quality), "") for name, quality in qualities if quality.samples]
    return said + _names(profile)


def cost_line(profile: Profile) -> Line:
    """Return what the run took from the target, and what it was allowed to take."""
    cost = profile.cost
    budget = "no budget"
    if cost.budget_ratio is not None:
        budget = f"budget {numbers.percent(cost.budget_ratio)}"
    is_over = cost.budget_ratio is not None and cost.measured_ratio > cost.budget_ratio
    text = f"cost to asterisk: {numbers.percent(cost.measured_ratio)} of one CPU ({budget})"
    return Line(text, "bad" if is_over else "good")


def coverage(profile: Profile) -> str:
    """Return one sentence: how much of the lookups was seen, and how many there were."""
    whole = all_lookups(profile)
    measured = sum(container.lookups.measured for container in profile.containers)
    return (
        f"lookup probes were open {numbers.percent(profile.cost.open_ratio)} of the window, "
        f"{numbers.exact(measured)} lookups measured, {_estimated(whole)}"
    ).rstrip()


def _estimated(whole: Estimate) -> str:
    if whole.is_bound:
        return f"at least {numbers.count(whole.total)} made"
    return f"~{numbers.count(whole.total)} estimated {whole.error()}"


def _measurements(profile: Profile) -> tuple[tuple[str, Accounting], ...]:
    return (("samples", profile.sample_accounting), ("lookups", profile.lookup_accounting))


def parts(accounting: Accounting) -> tuple[str, ...]:
    """Return the six numbers of an accounting."""
    return tuple(
        numbers.column(value)
        for value in (
            accounting.fired,
            accounting.kept,
            accounting.filtered,
            accounting.lost,
            accounting.collided,
            accounting.truncated,
        )
    )


def _verification(profile: Profile) -> tuple[str, str]:
    counts = [container.lookups for container in profile.containers]
    contradicted = sum(count.contradicted for count in counts)
    text = (
        f"comparisons counted: {numbers.exact(sum(count.verified for count in counts))} verified, "
        f"{numbers.exact(sum(count.unverifiable for count in counts))} not verifiable, "
        f"{numbers.exact(contradicted)} contradicted, "
        f"{numbers.exact(sum(count.truncated for count in counts))} truncated; "
        "only verified ones are shown"
    )
    agreed = sum(count.steps_agreed for count in counts)
    disagreed = sum(count.steps_disagreed for count in counts)
    if agreed or disagreed:
        text += (
            f"; trapped step by step, {numbers.exact(agreed)} were as counted, "
            f"{numbers.exact(disagreed)} were not"
        )
    return text, "bad" if contradicted or disagreed else ""


def _stacks(name: str, quality: StackQuality) -> str:
    if quality.whole == quality.samples:
        return f"{name}: all {numbers.exact(quality.samples)} whole"
    causes = sorted(quality.by_cause, key=lambda item: (-item[1], item[0]))
    shown = [f"{clip(cause, 40)} {numbers.exact(count)}" for cause, count in causes[:_CAUSES_MAX]]
    if len(causes) > _CAUSES_MAX:
        shown.append(f"{len(causes) - _CAUSES_MAX} more causes")
    ratio = numbers.percent(quality.whole / quality.samples)
    return (
        f"{name}: {numbers.exact(quality.whole)} of {numbers.exact(quality.samples)} whole "
        f"({ratio}); truncated by: {', '.join(shown)}"
    )


def _names(profile: Profile) -> list[tuple[str, str]]:
    ratio = profile.unnamed_frames_ratio
    if ratio is None:
        return []
    said = [(f"frames without a name: {numbers.percent(ratio)}", "")]
    if ratio > UNNAMED_RATIO_MAX:
        hint = (
            "For names install the debug symbols of asterisk (asterisk-dbgsym or -debuginfo), "
            "then: ebpf-prof report recording"
        )
        said.append((hint, ""))
    return said
