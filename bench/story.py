"""What the default budget costs in the field story: 55,585 taskprocessors in seven buckets.

Phones register as fast as the target answers: a few wait for their answer at any time, so that one
thread of the target is busy all the time, and what is taken from it is missing in its throughput.
With and without the profiler in alternation, and without it once more. Then one recording: how many
lookups were counted exactly, and how far the estimated number is from the true one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from bench.pairs import Pairs
from bench.session import Session, recorded
from bench.tables import Table, estimate_cell, promise
from lab import instance, traffic
from lab.instance import Instance
from lab.traffic import Summary
from profiler.model.recording import LookupGroup, Recording
from profiler.process.cpu_clock import ProcessClock
from profiler.record.preparation.sampling import Options

ASTERISK = instance.Options("16", buckets=7, taskprocessors=55_585)
AT_ONCE = 8  # registrations that wait for their answer
RATE_MAX = 1_000.0  # that sipp would begin in a second, were they answered
SECONDS = 3.0
ROUNDS = 40
RECORD_SECONDS = 60.0
COUNTED = 200  # registrations of which every lookup is counted
COUNTED_HZ = 20.0
LATE_SECONDS = 4.0  # that a recording goes on after the last registration was sent
BUDGET_RATIO = 0.01


@dataclass(frozen=True, slots=True)
class Round:
    """Registrations that were answered in a second, and the target's CPU time for one of them."""

    per_second: float
    cpu_ns: float


def _register(asterisk: Instance, seconds: float) -> Summary:
    """Let phones register for a while, as fast as they are answered."""
    return traffic.run(
        "register", asterisk, RATE_MAX, traffic.COUNT_MAX, seconds=seconds, at_once=AT_ONCE
    )


def _round(asterisk: Instance, clock: ProcessClock, session: Session | None) -> Round:
    begin_ns = clock.read_ns()
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(_register, asterisk, SECONDS)
        if session is not None:
            session.on(SECONDS)
        summary = sent.result()
    used_ns = clock.read_ns() - begin_ns
    return Round(summary.successful / summary.duration_s, used_ns / summary.successful)


def _rounds(asterisk: Instance, session: Session) -> tuple[Pairs, Pairs, Pairs]:
    """Return throughput by CPU time, the same without the profiler, and throughput by the clock."""
    by_cpu, without_by_cpu, by_clock = Pairs(), Pairs(), Pairs()
    clock = ProcessClock(asterisk.pid)
    before = _round(asterisk, clock, None)
    for _ in range(ROUNDS):
        on = _round(asterisk, clock, session)
        after = _round(asterisk, clock, None)
        by_cpu.add_costs(on.cpu_ns, before.cpu_ns, after.cpu_ns)
        by_clock.add(on.per_second, (before.per_second + after.per_second) / 2)
        again, before = _round(asterisk, clock, None), _round(asterisk, clock, None)
        without_by_cpu.add_costs(again.cpu_ns, after.cpu_ns, before.cpu_ns)
    return by_cpu, without_by_cpu, by_clock


def _recorded(
    asterisk: Instance, seconds: float, budget_ratio: float | None, send: Callable[[], Summary]
) -> tuple[Recording, int]:
    """Return a recording of registrations, all answered before it ends, and how many they were."""
    with ThreadPoolExecutor(1) as pool:
        sent: list[Future[Summary]] = []
        recording = recorded(
            asterisk.pid,
            Options(round(seconds * 1e9), budget_ratio=budget_ratio),
            lambda: sent.append(pool.submit(send)),
            lambda: None,
        )
        return recording, sent[0].result().successful


def _lookups_per_registration(asterisk: Instance) -> float:
    """Return how often a registration looks up a taskprocessor: all lookups, counted."""
    recording, answered = _recorded(
        asterisk,
        COUNTED / COUNTED_HZ + LATE_SECONDS,
        None,
        lambda: traffic.run("register", asterisk, COUNTED_HZ, COUNTED),
    )
    return sum(group.measured for group in _of_taskprocessors(recording)) / answered


def _of_taskprocessors(recording: Recording) -> list[LookupGroup]:
    """Return the groups of the container in which most comparisons were made."""
    compared: Counter[int] = Counter()
    for group in recording.lookups:
        compared[group.container] += group.comparisons.total
    ((container, _),) = compared.most_common(1)
    return [group for group in recording.lookups if group.container == container]


def run(asterisk: Instance) -> Table:
    """Return the table."""
    with Session(asterisk.pid, Options(1, budget_ratio=BUDGET_RATIO)) as session:
        by_cpu, without, by_clock = _rounds(asterisk, session)
        charged = session.run.governor.spent_ns / (ROUNDS * SECONDS * 1e9)
    per_registration = _lookups_per_registration(asterisk)
    recording, answered = _recorded(
        asterisk,
        RECORD_SECONDS,
        BUDGET_RATIO,
        lambda: _register(asterisk, RECORD_SECONDS - LATE_SECONDS),
    )
    exact = sum(group.verified for group in recording.lookups)
    groups = _of_taskprocessors(recording)
    estimated = sum(group.estimated_total for group in groups)
    variance = sum(group.estimated_variance or 0.0 for group in groups)
    true = answered * per_registration
    ratio = by_cpu.ratio()
    return Table(
        "story",
        (
            "registrations, with / without",
            "without / without",
            "with / without, by the clock",
            "charged",
            "exact counts in 60 s",
            "estimated / true lookups",
        ),
        (
            (
                str(ratio),
                str(without.ratio()),
                str(by_clock.ratio()),
                f"{100 * charged:.2f} %",
                f"{exact:,}",
                estimate_cell(estimated, variance, true),
            ),
        ),
        (
            promise(f"throughput at least 99 % ({ratio})", ratio.median >= 0.99),
            promise(f"at least 1,000 exact counts in 60 s ({exact:,})", exact >= 1000),
            promise(
                f"estimated total within 5 % ({estimated / true - 1:+.1%})",
                abs(estimated / true - 1) <= 0.05
                and all(group.estimated_variance is not None for group in groups),
            ),
        ),
    )
