"""What a reader of a recording has to be warned of: what is missing in it, and why. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Set

from profiler.linux.task_registers import KERNEL_SAMPLES_LACK_STACKS
from profiler.model.observed import Observed, ObservedLookups
from profiler.probes.attach import LONG_WALKS_NEED, SHORT_WALKS, UprobePrograms
from profiler.sampling.bounded_samples import SAMPLES_MAX
from profiler.unwind.kernel_tables import INFERRED
from profiler.wire.lookups import LookupCounter

_UNATTRIBUTED_RATIO = 0.02
_UNSAMPLED_RATIO = 0.15
_HIGH_FREQUENCY_HZ = 999  # above it, what is missing is not met by asking more often
_UNLIKELY_DEVIATIONS = 3  # chance takes some, too


def run_warnings(
    observed: Observed,
    frequency_hz: float,
    budget_ratio: float | None,
    causes: Set[str | None],
    ended_in: Set[str],
    met: Set[str] = frozenset(),
) -> Iterator[str]:
    """Yield them. `causes`: why stacks were truncated; `ended_in`: in code of which files.

    `met`: paths of all files that stacks go through.
    """
    if _is_starved(observed, budget_ratio):
        yield (
            "no lookup was measured: sampling takes most of the budget; sample less with -F, or "
            "allow more with --budget"
        )
    if observed.sampled_one_in > 1:
        yield (
            f"one of {observed.sampled_one_in} samples was kept, at random: a recording holds "
            f"{SAMPLES_MAX:,} at most; -F {frequency_hz / observed.sampled_one_in:.2g} "
            "would have taken as many"
        )
    missing = missing_samples(observed, frequency_hz)
    if missing is not None:
        yield missing
    if "no registers" in causes:
        yield KERNEL_SAMPLES_LACK_STACKS
    unattributed = observed.account.unattributed_ns
    window_ns = observed.window.end_ns - observed.window.start_ns
    if unattributed > _UNATTRIBUTED_RATIO * window_ns:
        yield (
            f"{unattributed / 1e6:.0f} ms of CPU time belong to threads that ended, and are "
            "missing there: what each used last was not reported, or there was no room for it"
        )
    yield from poor_tables(observed, ended_in, met)


def poor_tables(observed: Observed, ended_in: Set[str], met: Set[str]) -> Iterator[str]:
    """Name the files without good tables, where it matters.

    Libraries of data have no tables either; what matters is where stacks did end.
    """
    for path, problem in observed.without_table:
        if path in ended_in:
            yield f"stacks end in {path}: {problem}"
        elif path in met and problem == INFERRED:
            yield f"{path}: {problem}"


def missing_samples(observed: Observed, frequency_hz: float) -> str | None:
    """Say how many samples are missing, if more are than the way they are taken explains."""
    expected = observed.cpu_s * frequency_hz
    missing = expected - observed.sample_accounting.fired
    chance = _UNLIKELY_DEVIATIONS * math.sqrt(expected)
    if missing <= max(_UNSAMPLED_RATIO * expected, chance):
        return None
    higher = "-F 999 or " if frequency_hz < _HIGH_FREQUENCY_HZ else ""
    return (
        f"Only {observed.sample_accounting.fired:,} of about {expected:,.0f} expected CPU samples "
        "were taken; most likely threads run very briefly. Treat the flame graph as rough; try "
        f"{higher}a longer -d. sysctl kernel.perf_event_max_sample_rate may limit samples, too."
    )


def short_walks(programs: UprobePrograms | None, lookups: ObservedLookups | None) -> str | None:
    """Say how many lookups have no count because this kernel lets walks go less far."""
    truncated = lookups.counters[LookupCounter.TRUNCATED] if lookups else 0
    if not truncated or programs is None or programs.variant.iterator:
        return None
    return (
        f"{truncated:,} lookups have no count: here walks are followed for {SHORT_WALKS}; "
        f"{LONG_WALKS_NEED}"
    )


def _is_starved(observed: Observed, budget_ratio: float | None) -> bool:
    """Return whether sampling left no room for lookups."""
    lookups = observed.lookups
    if lookups is None or budget_ratio is None or lookups.counters[LookupCounter.KEPT]:
        return False
    window_ns = observed.window.end_ns - observed.window.start_ns
    return observed.sampling_cost_ns > budget_ratio * window_ns / 2
