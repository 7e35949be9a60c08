"""What a recording lacks because something was full, or came too fast. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from profiler.model.observed import Observed, ObservedLookups
from profiler.wire.lookups import MAX_DEPTH, LookupCounter, Verdict

LEAST_RATIO = 0.001  # less is counted, and not worth a warning
LOST = {
    LookupCounter.DEPTH: f"were inside {MAX_DEPTH} others",
    LookupCounter.THREADS: "found no room for their threads",
    LookupCounter.GROUPS: "found no room for their call sites, or histograms",
    LookupCounter.UNREADABLE: "had arguments that could not be read",
    LookupCounter.UNFINISHED: "had not returned when the probes were taken away",
}


def loss_warnings(observed: Observed) -> Iterator[str]:
    """Yield one warning for each kind of loss above 0.1 %."""
    samples = observed.sample_accounting
    if said := _said(samples.missed, samples.fired, "samples were lost"):
        yield f"{said}: they came faster than they could be fetched; sample less with -F"
    if observed.lookups is not None:
        yield from _lookup_losses(observed.lookups)
    noted = sum(thread.exited for thread in observed.account.threads)
    if said := _said(observed.lost_ends, noted + observed.lost_ends, "ends of threads were lost"):
        yield f"{said}: they came faster than they could be fetched; CPU time of some is missing"


def _lookup_losses(lookups: ObservedLookups) -> Iterator[str]:
    counters = lookups.counters
    lost = {words: counters[counter] for counter, words in LOST.items() if counters[counter]}
    if said := _said(sum(lost.values()), counters[LookupCounter.FIRED], "lookups were lost"):
        yield f"{said}: " + ", ".join(f"{count:,} {words}" for words, count in lost.items())
    stackless = counters[LookupCounter.STACKLESS]
    unwound = counters[LookupCounter.STACKS] + stackless
    if said := _said(stackless, unwound, "call stacks of lookups were lost"):
        yield f"{said}: there were more different ones than there is room for"
    entries = sum(window.lookups for window in lookups.counting) + lookups.uncounted
    if said := _said(lookups.uncounted, entries, "lookups were not counted"):
        yield f"{said}: there were more call sites than there is room for"
    if lookups.lacks_room:
        verdicts = (Verdict.UNVERIFIED_LAYOUT, Verdict.UNVERIFIED_RULE)
        groups = lookups.groups.values()
        unknown = sum(group.verdicts[verdict] for group in groups for verdict in verdicts)
        measured = sum(sum(group.verdicts) for group in groups)
        if said := _said(unknown, measured, "measured lookups have no count"):
            yield (
                f"{said}: containers were of more kinds, or had more functions that compare, than "
                "there is room for"
            )
    if said := _said(lookups.unread, len(lookups.containers) + lookups.unread, "containers"):
        yield f"{said} were not looked at: only the busiest are"


def _said(lost: int, of_all: int, what: str) -> str | None:
    """Return how many of all were lost, if that is worth a warning."""
    if lost <= LEAST_RATIO * of_all or not lost:
        return None
    ratio = lost / max(of_all, lost)
    return f"{lost:,} of {max(of_all, lost):,} {what} ({100 * ratio:.2g} %)"
