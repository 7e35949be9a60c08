"""What the default budget costs a target that does nothing but look up, and what it buys.

With and without the profiler in turns, in one run: the throughput of the searching threads for each
second of CPU time that they had (which is not disturbed by what else runs on the machine) and for
each second of the clock (which is). Then one recording, compared with the target's own count.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from bench.pairs import Ratio, paired_ratio
from bench.session import Session
from bench.storm import Reading, Storm
from bench.tables import Table, promise
from lab import instance
from lab.instance import Instance
from profiler import recorder
from profiler.preparation import Options
from profiler.recorder import Progress, Stop, record
from profiler.recording import Recording
from profiler.target import find_asterisk

ASTERISK = instance.Options("16")
CHAINS = (10, 100, 1_000, 8_000, 50_000)
THREADS = (1, 8)
BUDGET_RATIO = 0.01
TURNS = 10
TURN_SECONDS = 2.0
RECORD_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Turns:
    """Throughput with the profiler as a share of that without, and what it charged."""

    by_cpu: Ratio
    by_clock: Ratio
    charged_ratio: float


def turns(storm: Storm, session: Session, count: int, seconds: float) -> Turns:
    """Switch the profiler on and off; each stretch with it stands between two without."""
    with_cpu, without_cpu, with_clock, without_clock = [], [], [], []
    on_ns = 0
    before = _off(storm, seconds)
    for _ in range(count):
        start = storm.read()
        session.on(seconds)
        on = storm.read() - start
        after = _off(storm, seconds)
        with_cpu.append(1 / on.cpu_ns_per_lookup)
        without_cpu.append((1 / before.cpu_ns_per_lookup + 1 / after.cpu_ns_per_lookup) / 2)
        with_clock.append(on.per_second)
        without_clock.append((before.per_second + after.per_second) / 2)
        on_ns += on.time_ns
        before = after
    return Turns(
        paired_ratio(with_cpu, without_cpu),
        paired_ratio(with_clock, without_clock),
        session.run.governor.spent_ns / on_ns,
    )


def _off(storm: Storm, seconds: float) -> Reading:
    start = storm.read()
    time.sleep(seconds)
    return storm.read() - start


def recorded(storm: Storm, pid: int, seconds: float) -> tuple[Recording, Reading]:
    """Return a recording of the storm, and what the target itself counted meanwhile."""
    edges: list[Reading] = []
    begin, harvest = recorder._begin, recorder._harvest

    def begun(*arguments: object) -> object:
        run = begin(*arguments)  # type: ignore[arg-type]
        edges.append(storm.read())
        return run

    def harvested(run: object) -> object:
        edges.append(storm.read())
        return harvest(run)  # type: ignore[arg-type]

    recorder._begin, recorder._harvest = begun, harvested  # type: ignore[assignment]
    try:
        options = Options(round(seconds * 1e9), budget_ratio=BUDGET_RATIO)
        recording = record(find_asterisk(pid), options, Stop(), _ignore)
    finally:
        recorder._begin, recorder._harvest = begin, harvest
    return recording, edges[1] - edges[0]


def _ignore(progress: Progress) -> None:
    return None


def run(asterisk: Instance) -> Table:
    """Return the table over all chains and numbers of threads."""
    rows = []
    worst = 1.0
    fewest, furthest = 1 << 62, 0.0
    for threads in THREADS:
        for chain in CHAINS:
            with Storm(asterisk, chain, threads) as storm:
                options = Options(1, budget_ratio=BUDGET_RATIO)
                with Session(asterisk.pid, options) as session:
                    found = turns(storm, session, TURNS, TURN_SECONDS)
                recording, truth = recorded(storm, asterisk.pid, RECORD_SECONDS)
            group = max(recording.lookups, key=lambda group: group.measured)
            exact = round(group.verified * 60 / RECORD_SECONDS)
            off = group.estimated_total / truth.lookups
            spread = 1.96 * group.estimated_variance**0.5 / group.estimated_total
            worst = min(worst, found.by_cpu.median)
            fewest = min(fewest, exact)
            if chain >= 100:
                furthest = max(furthest, abs(off - 1))
            rows.append(
                (
                    f"{chain:,}",
                    str(threads),
                    str(found.by_cpu),
                    str(found.by_clock),
                    f"{100 * found.charged_ratio:.2f} %",
                    f"{exact:,}",
                    f"{off:.3f} ± {spread:.3f}",
                )
            )
            print("budget", *rows[-1], flush=True)
    headings = ("chain", "threads", "throughput by CPU time", "by the clock", "charged")
    return Table(
        "budget",
        (*headings, "exact counts in 60 s", "estimated / true lookups"),
        tuple(rows),
        (
            promise(f"throughput at least 99 % (by CPU time; least {worst:.4f})", worst >= 0.99),
            promise(f"at least 1,000 exact counts in 60 s (least {fewest:,})", fewest >= 1000),
            promise(
                f"estimated totals within 5 % from chains of 100 on (furthest {furthest:.1%})",
                furthest <= 0.05,
            ),
        ),
    )
