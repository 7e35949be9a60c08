"""Sentences on the run itself: what was seen, what was lost, what it cost."""

from __future__ import annotations

from profiler.model.profile import Profile, StackQuality
from profiler.model.recording import Accounting
from profiler.renderers import numbers
from profiler.renderers.labels import clip
from profiler.renderers.uses import all_lookups

UNNAMED_RATIO_MAX = 0.05  # above it, names are worth a hint

_CAUSES_MAX = 6


def notes(profile: Profile) -> list[tuple[str, str]]:
    """Return (sentence, style) for all that is to be said on samples, lookups and names."""
    samples, lookups = profile.sample_accounting, profile.lookup_accounting
    said = [
        (f"{samples.seen:,} samples, {_lost(samples)}.{_stacks(profile.stack_quality)}", ""),
        (
            f"Probes that measure were active {numbers.percent(profile.cost.open_ratio)} of the "
            f"time: {lookups.seen:,} lookups measured, {_lost(lookups)}{_in_all(profile)}."
            f"{_stacks(profile.lookup_stack_quality)}{_seen(profile)}",
            "",
        ),
    ]
    for name, accounting in (("samples", samples), ("lookups", lookups)):
        if not accounting.balanced():
            said.append((f"The {name} do not add up: this is a defect of ebpf-prof.", "bad"))
    if profile.containers:
        said.append(_verification(profile))
    return said + _names(profile)


def cost(profile: Profile) -> tuple[str, str]:
    """Return (sentence, style) on what the run took from the target, and was allowed to take."""
    taken, allowed = profile.cost.measured_ratio, profile.cost.budget_ratio
    budget = "no budget" if allowed is None else f"budget {numbers.percent(allowed)}"
    text = f"cost to asterisk: {numbers.percent(taken)} of one CPU ({budget})"
    return text, "bad" if allowed is not None and taken > allowed else "good"


def _lost(accounting: Accounting) -> str:
    return f"{accounting.missed:,} lost" if accounting.missed else "none lost"


def _stacks(quality: StackQuality) -> str:
    """Return the sentence on their stacks, after those before it; "" if there are none."""
    deep = _left_out(quality.left_out)
    if not quality.by_cause:
        return f" All stacks are complete.{deep}" if quality.samples else ""
    causes = sorted(quality.by_cause, key=lambda item: (-item[1], item[0]))
    shown = [f"{count:,} x {clip(cause, 40)}" for cause, count in causes[:_CAUSES_MAX]]
    if len(causes) > _CAUSES_MAX:
        shown.append(f"{len(causes) - _CAUSES_MAX} more causes")
    incomplete = quality.samples - quality.whole
    verb = "is" if incomplete == 1 else "are"
    return f" {numbers.counted(incomplete, 'stack')} {verb} incomplete: {', '.join(shown)}.{deep}"


def _left_out(count: int) -> str:
    """Return the sentence on stacks so deep that calls in their middle are not shown."""
    if not count:
        return ""
    verb = "is" if count == 1 else "are"
    return f" {numbers.counted(count, 'stack')} {verb} shown without calls in the middle."


def _in_all(profile: Profile) -> str:
    """Return how many lookups there were, as far as that is known."""
    if not profile.containers:
        return ""
    whole = all_lookups(profile)
    total = f", {'at least' if whole.is_bound else 'about'} {numbers.count(whole.total)} in all"
    error = whole.error().strip("()")
    counted = sum(container.lookups.counted for container in profile.containers)
    known = f", {counted:,} of them counted as they began" if counted else ""
    return f"{total} ({error}){known}" if error else total + known


def _seen(profile: Profile) -> str:
    """Return the sentence on the share of lookups that windows saw; "" if it is not known."""
    ratio = profile.seen_lookups_ratio
    if ratio is None:
        return ""
    return f" Windows saw {numbers.percent(ratio)} of the CPU time in lookups."


def _verification(profile: Profile) -> tuple[str, str]:
    counts = [container.lookups for container in profile.containers]
    contradicted = sum(count.contradicted for count in counts)
    unsure = sum(count.unverifiable + count.truncated for count in counts)
    text = f"{numbers.counted(sum(count.verified for count in counts), 'lookup')} counted exactly"
    if unsure:
        text += f"; {unsure:,} could not be verified and are left out"
    if contradicted:
        text += f"; {contradicted:,} failed a check and are left out"
    agreed = sum(count.steps_agreed for count in counts)
    disagreed = sum(count.steps_disagreed for count in counts)
    if agreed or disagreed:
        text += f"; counted a second way, {agreed:,} were the same and {disagreed:,} were not"
    return text, "bad" if contradicted or disagreed else ""


def _names(profile: Profile) -> list[tuple[str, str]]:
    ratio = profile.unnamed_frames_ratio
    if ratio is None:
        return []
    said = [(f"frames without a name: {numbers.percent(ratio)}", "")]
    if ratio > UNNAMED_RATIO_MAX:
        hint = (
            "For names install the debug symbols of asterisk (asterisk-dbgsym or -debuginfo), "
            "then: ebpf-prof report FOLDER, with the folder of these results"
        )
        said.append((hint, ""))
    return said
