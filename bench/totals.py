"""How near estimated numbers of lookups are to the true ones, where lookups are shorter than traps.

Threads look up at full speed in containers with short chains, few or many of them, and the target
counts its own lookups meanwhile. That is the hardest case: what is to be told takes less time than
what tells it.
"""

from __future__ import annotations

from bench.budget import recorded_storm
from bench.storm import Storm
from bench.tables import Table, estimate_cell, promise
from lab import instance
from lab.instance import Instance

ASTERISK = instance.Options("16")
SECONDS = 60.0
# Elements in a chain, chains, threads.
CASES = ((10, 10, 1), (10, 100, 1), (10, 1_000, 1), (10, 100, 8), (10, 1_000, 8), (30, 1, 1))


def run(asterisk: Instance) -> Table:
    """Return the table over all cases."""
    rows = []
    furthest: dict[int, float] = {}
    for chain, buckets, threads in CASES:
        with Storm(asterisk, chain, threads, buckets=buckets) as storm:
            recording, truth = recorded_storm(storm, asterisk.pid, SECONDS)
        group = max(recording.lookups, key=lambda group: group.measured)
        ratio = group.estimated_total / truth.lookups
        furthest[threads] = max(furthest.get(threads, 0.0), abs(ratio - 1))
        rows.append(
            (
                f"{chain}",
                f"{buckets:,}",
                f"{threads}",
                f"{truth.cpu_ns_per_lookup:.0f} ns",
                f"{group.verified:,}",
                estimate_cell(group.estimated_total, group.estimated_variance, truth.lookups),
            )
        )
        print("totals", *rows[-1], flush=True)
    return Table(
        "totals",
        (
            "elements in a chain",
            "chains",
            "threads",
            "a lookup",
            "exact counts",
            "estimated / true",
        ),
        tuple(rows),
        tuple(
            promise(f"within 5 % in {threads} thread(s) (furthest {off:.1%})", off <= 0.05)
            for threads, off in furthest.items()
        ),
    )
