"""How often the interval of a total holds the true number, on a simulated target.

Loads of 20 and 60 s, in one thread and in eight, with the default budget and without one. Each
recording has bursts at other moments.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterator

from bench.simulated import Load, Outcome, loads, record
from bench.tables import Table, promise
from profiler.report.aggregate import spread

CHAINS = (10, 100, 1_000, 8_000, 50_000)
SITUATIONS = tuple(
    (duration_s, threads, budget_ratio)
    for duration_s in (20.0, 60.0)
    for threads in (1, 8)
    for budget_ratio in (0.01, None)
)
RECORDINGS = 100
LEAST_HELD = 0.95


def holds(outcome: Outcome) -> bool:
    """Return whether the true number is in the interval that a report shows, to one lookup."""
    total = outcome.total
    if total.variance is None:
        return total.total <= outcome.truth
    factor = spread(math.sqrt(total.variance) / total.total) if total.total else 1.0
    low, high = max(total.total / factor, total.counted), total.total * factor
    return low - 1 <= outcome.truth <= high + 1


def run() -> Table:
    """Return how often intervals hold, for each load and length of chains."""
    found: dict[tuple[str, int], list[tuple[bool, bool]]] = defaultdict(list)
    least = 1.0
    for situation in SITUATIONS:
        held: dict[tuple[str, int], list[bool]] = defaultdict(list)
        for name, chain, outcome in outcomes(*situation):
            held[name, chain].append(holds(outcome))
            is_bound = outcome.total.variance is None
            found[name, chain].append((held[name, chain][-1], is_bound))
        least = min(least, *(sum(all_held) / len(all_held) for all_held in held.values()))
    worst = min(sum(is_held for is_held, _ in cell) / len(cell) for cell in found.values())
    names = list(dict.fromkeys(name for name, _ in found))
    return Table(
        "estimates",
        ("interval holds, of these an estimate", *(f"chains of {chain:,}" for chain in CHAINS)),
        tuple((name, *(_cell(found[name, chain]) for chain in CHAINS)) for name in names),
        (
            promise(
                f"intervals hold in at least {LEAST_HELD:.0%} of the recordings of each load and "
                f"chain (least {worst:.1%}; of the {RECORDINGS} in one situation {least:.0%})",
                worst >= LEAST_HELD,
            ),
        ),
    )


def outcomes(
    duration_s: float, threads: int, budget_ratio: float | None
) -> Iterator[tuple[str, int, Outcome]]:
    """Yield load, chain and what a recording of it gave."""
    for seed in range(RECORDINGS):
        for name, phases in loads(duration_s, random.Random(seed)):
            for chain in CHAINS:
                load = Load(duration_s, tuple(phases), chain, threads)
                yield name, chain, record(load, budget_ratio, seed)


def _cell(recordings: list[tuple[bool, bool]]) -> str:
    held = sum(is_held for is_held, _ in recordings) / len(recordings)
    estimated = sum(not is_bound for _, is_bound in recordings) / len(recordings)
    return f"{held:.1%}, {estimated:.0%}"
