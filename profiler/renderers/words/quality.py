"""Sentences on the run itself: what was seen, what was lost, what it cost."""

from __future__ import annotations

from profiler.model.completeness import Completeness, lookup_completeness, sample_completeness
from profiler.model.profile import Profile, StackQuality
from profiler.renderers.words import name_hint, numbers
from profiler.renderers.words.labels import clip
from profiler.renderers.words.name_hint import UNNAMED_RATIO_MAX
from profiler.renderers.words.nothing import without_lookups
from profiler.renderers.words.uses import all_lookups
from profiler.renderers.words.waiting import coverage

_INCOMPLETE_RATIO = 0.01  # of stacks: fewer that are incomplete change nothing
_CAUSES_MAX = 6


def notes(profile: Profile) -> list[tuple[str, str]]:
    """Return (sentence, style) for all that is to be said on samples, lookups and names."""
    samples = sample_completeness(profile)
    rate = f"{profile.frequency_hz:.4g} a second of CPU time"
    said = [
        (
            f"{numbers.counted(samples.seen, 'sample')} ({rate}), {_lost(samples)}."
            f"{_stacks(profile.stack_quality)}",
            "",
        ),
        (_lookups(profile), ""),
    ]
    said += [
        (f"The {name} do not add up: this is a defect of ebpf-prof.", "bad")
        for name in _unbalanced(profile)
    ]
    if profile.containers:
        said.append(_verification(profile))
    if profile.off_cpu is not None:
        said.append((f"When threads did not run: {coverage(profile.off_cpu)}", ""))
    names = name_hint.note(profile)
    return said if names is None else [*said, (names, "")]


def summary(profile: Profile) -> tuple[str, str]:
    """Return (sentence, style) on all of that in a few words, one line when all is well."""
    samples, lookups = sample_completeness(profile), lookup_completeness(profile)
    said = [_number(samples.seen, "sample")]
    if profile.lookups_not_measured is None:
        said.append(_number(lookups.seen, "lookup"))
    lost = [
        f"{numbers.counted(one.lost, name)} lost"
        for name, one in (("sample", samples), ("lookup", lookups))
        if one.lost
    ]
    said += lost or ["none lost"]
    incomplete = samples.incomplete + lookups.incomplete
    if incomplete > _INCOMPLETE_RATIO * (samples.seen + lookups.seen):
        said.append(f"{numbers.counted(incomplete, 'stack')} incomplete")
    if (profile.unnamed_frames_ratio or 0.0) > UNNAMED_RATIO_MAX:
        said.append(f"{numbers.percent(profile.unnamed_frames_ratio)} of frames unnamed")
    wrong = [f"{name} do not add up" for name in _unbalanced(profile)]
    if failed := _failed_checks(profile):
        wrong.append(f"{numbers.counted(failed, 'count')} failed a check")
    return f"data quality: {', '.join([*said, *wrong])}", "bad" if wrong or lost else ""


def _number(value: int, noun: str) -> str:
    return numbers.counted(value, noun) if value else f"no {noun}s"


def _lookups(profile: Profile) -> str:
    if profile.lookups_not_measured is not None:
        return without_lookups(profile)
    lookups = lookup_completeness(profile)
    return (
        f"Probes that measure were active {numbers.percent(profile.cost.open_ratio)} of the "
        f"time: {numbers.counted(lookups.seen, 'lookup')} measured, {_lost(lookups)}"
        f"{_in_all(profile)}.{_stacks(profile.lookup_stack_quality)}{_seen(profile)}"
    )


def _unbalanced(profile: Profile) -> list[str]:
    """Return of which measurements the numbers contradict each other."""
    measured = [("samples", profile.sample_accounting), ("lookups", profile.lookup_accounting)]
    if profile.off_cpu is not None:
        measured.append(("waits", profile.off_cpu.accounting))
    if profile.tasks is not None:
        measured.append(("tasks", profile.tasks.accounting))
    return [name for name, accounting in measured if not accounting.balanced()]


def cost(profile: Profile) -> tuple[str, str]:
    """Return (sentence, style) on what the run took from the target, and was allowed to take."""
    taken, allowed = profile.cost.measured_ratio, profile.cost.budget_ratio
    budget = "no budget" if allowed is None else f"budget {numbers.percent(allowed)}"
    text = f"cost to asterisk: {numbers.percent(taken)} of one CPU ({budget})"
    return text, "bad" if allowed is not None and taken > allowed else "good"


def _lost(known: Completeness) -> str:
    return f"{known.lost:,} lost" if known.lost else "none lost"


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
    unsure = sum(count.unverifiable + count.truncated for count in counts)
    text = f"{numbers.counted(sum(count.verified for count in counts), 'lookup')} counted exactly"
    if unsure:
        text += f"; {unsure:,} could not be verified and are left out"
    if contradicted := sum(count.contradicted for count in counts):
        text += f"; {contradicted:,} failed a check and are left out"
    agreed = sum(count.steps_agreed for count in counts)
    disagreed = sum(count.steps_disagreed for count in counts)
    if agreed or disagreed:
        text += f"; counted a second way, {agreed:,} were the same and {disagreed:,} were not"
    return text, "bad" if _failed_checks(profile) else ""


def _failed_checks(profile: Profile) -> int:
    """Return how many counts were wrong by another way to count, or by themselves."""
    counts = [container.lookups for container in profile.containers]
    return sum(count.contradicted + count.steps_disagreed for count in counts)
