"""What outputs say where there is nothing to show: one rule, and the same words, for all of them.

Nothing was there, or nobody looked: the two are never mixed up, and neither is shown as a 0.
"""

from __future__ import annotations

from profiler.model.finding import Severity
from profiler.model.profile import Profile
from profiler.renderers.words import numbers
from profiler.renderers.words.uses import all_lookups

_IDLE_RATIO = 0.01  # of one CPU: a process that uses less does not explain a problem


def without_findings(profile: Profile) -> tuple[str, str] | None:
    """Return (sentence, style) for the place of findings; None where they say what matters.

    Beside mere notes an idle Asterisk is said to be idle, too.
    """
    if any(finding.severity is not Severity.NOTE for finding in profile.findings):
        return None
    if profile.total_cpu_ratio < _IDLE_RATIO:
        used = numbers.percent(profile.total_cpu_ratio)
        return (
            f"Asterisk was idle: {used} of a CPU, {_lookups(profile)} in "
            f"{numbers.seconds(profile.window.duration_s)}. Run again while the problem is "
            f"happening. {_waits(profile)}"
        ), "bad"
    if profile.findings:
        return None
    if profile.samples or profile.containers:
        return "Nothing stands out.", "good"
    return f"No sample was taken, {_lookups(profile)}.", "bad"


def _waits(profile: Profile) -> str:
    """Return whether its threads wait for each other, as far as that is known."""
    waits = profile.off_cpu
    if waits is None or any(wait.lock is not None for wait in waits.long_waits):
        return "If it does not answer, its threads may wait for each other."
    return "No thread waited for a lock for half a second or longer."


def without_lookups(profile: Profile) -> str:
    """Return the sentence for the place of lookups; "" if there are some."""
    if profile.lookups_not_measured is not None:
        return f"Container lookups: {_not_measured(profile.lookups_not_measured)}."
    return "" if profile.containers else "No container lookup was seen."


def _lookups(profile: Profile) -> str:
    if profile.lookups_not_measured is not None:
        return f"lookups {_not_measured(profile.lookups_not_measured)}"
    whole = all_lookups(profile)
    if not round(whole.total):
        return "no lookups"
    return f"{'at least' if whole.is_bound else 'about'} {numbers.count(whole.total)} lookups"


def _not_measured(why: str) -> str:
    return f"not measured ({why})"
