"""What the default budget costs in the field story: 55,585 taskprocessors in seven buckets.

Phones register as fast as the target answers: a few wait for their answer at any time, so that one
thread of the target is busy all the time, and what is taken from it is missing in its throughput.
With and without the profiler in turns, and without it once more. Then one recording: how many
lookups were counted exactly, and how far the estimated number is from the true one.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from bench.pairs import Pairs
from bench.session import Session, recorded
from bench.tables import Table, promise
from lab import instance, traffic
from lab.instance import Instance
from lab.traffic import Summary
from profiler.aggregate import spread
from profiler.cpu_clock import ProcessClock
from profiler.preparation import Options
from profiler.recording import LookupGroup, Recording

ASTERISK = instance.Options("16", buckets=7, taskprocessors=55_585)
AT_ONCE = 8  # registrations that wait for their answer
RATE_MAX = 1_000.0  # that sipp would begin in a second, were they answered
SECONDS = 3.0
TURNS = 40
RECORD_SECONDS = 60.0
COUNTED = 200  # registrations of which every lookup is counted
COUNTED_HZ = 20.0
BUDGET_RATIO = 0.01


@dataclass(frozen=True, slots=True)
class Turn:
    """Registrations that were answered, and the target's CPU time for one of them."""

    per_second: float
    cpu_ns: float


def _register(asterisk: Instance, seconds: float) -> Summary:
    """Let phones register for a while, as fast as they are answered."""
    return traffic.run(
        "register", asterisk, RATE_MAX, traffic.COUNT_MAX, seconds=seconds, at_once=AT_ONCE
    )


def _turn(asterisk: Instance, clock: ProcessClock, session: Session | None) -> Turn:
    begin_ns = clock.read_ns()
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(_register, asterisk, SECONDS)
        if session is not None:
            session.on(SECONDS)
        summary = sent.result()
    used_ns = clock.read_ns() - begin_ns
    return Turn(summary.successful / summary.duration_s, used_ns / summary.successful)


def _turns(asterisk: Instance, session: Session) -> tuple[Pairs, Pairs, Pairs]:
    """Return throughput by CPU time, the same without the profiler, and throughput by the clock."""
    by_cpu, without_by_cpu, by_clock = Pairs(), Pairs(), Pairs()
    clock = ProcessClock(asterisk.pid)
    before = _turn(asterisk, clock, None)
    for _ in range(TURNS):
        on = _turn(asterisk, clock, session)
        after = _turn(asterisk, clock, None)
        _compare(by_cpu, on, before, after)
        by_clock.add(on.per_second, (before.per_second + after.per_second) / 2)
        again, before = _turn(asterisk, clock, None), _turn(asterisk, clock, None)
        _compare(without_by_cpu, again, after, before)
    return by_cpu, without_by_cpu, by_clock


def _compare(pairs: Pairs, turn: Turn, before: Turn, after: Turn) -> None:
    pairs.add(1 / turn.cpu_ns, (1 / before.cpu_ns + 1 / after.cpu_ns) / 2)


def _lookups_per_registration(asterisk: Instance) -> float:
    """Return how often a registration looks up a taskprocessor: all lookups, counted."""
    with ThreadPoolExecutor(1) as pool:
        sent: list[Future[Summary]] = []

        def send() -> None:
            sent.append(pool.submit(traffic.run, "register", asterisk, COUNTED_HZ, COUNTED))

        seconds = COUNTED / COUNTED_HZ + 4
        options = Options(round(seconds * 1e9), budget_ratio=None)
        recording = recorded(asterisk.pid, options, send, _nothing)
        answered = sent[0].result().successful
    return sum(group.measured for group in _of_taskprocessors(recording)) / answered


def _of_taskprocessors(recording: Recording) -> list[LookupGroup]:
    """Return the groups of the container in which most comparisons were made."""
    compared: Counter[int] = Counter()
    for group in recording.lookups:
        compared[group.container] += group.comparisons.total
    ((container, _),) = compared.most_common(1)
    return [group for group in recording.lookups if group.container == container]


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a recording of the story told."""

    exact: int
    estimated: float
    factor: float  # limits of the interval, as multiples of the estimate
    true: float


def _recorded(asterisk: Instance) -> Recorded:
    per_registration = _lookups_per_registration(asterisk)
    with ThreadPoolExecutor(1) as pool:
        sent: list[Future[Summary]] = []

        def send() -> None:
            # All of them are answered when the recording ends.
            seconds = RECORD_SECONDS - 4
            sent.append(pool.submit(_register, asterisk, seconds))

        options = Options(round(RECORD_SECONDS * 1e9), budget_ratio=BUDGET_RATIO)
        recording = recorded(asterisk.pid, options, send, _nothing)
        answered = sent[0].result().successful
    groups = _of_taskprocessors(recording)
    estimated = sum(group.estimated_total for group in groups)
    deviation = sum(group.estimated_variance for group in groups) ** 0.5
    return Recorded(
        sum(group.verified for group in recording.lookups),
        estimated,
        spread(deviation / estimated),
        answered * per_registration,
    )


def run(asterisk: Instance) -> Table:
    """Return the table."""
    with Session(asterisk.pid, Options(1, budget_ratio=BUDGET_RATIO)) as session:
        by_cpu, without, by_clock = _turns(asterisk, session)
        charged = session.run.governor.spent_ns / (TURNS * SECONDS * 1e9)
    told = _recorded(asterisk)
    off = told.estimated / told.true
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
                f"{told.exact:,}",
                f"{off:.3f} [{off / told.factor:.2f}, {off * told.factor:.2f}]",
            ),
        ),
        (
            promise(f"throughput at least 99 % ({ratio})", ratio.median >= 0.99),
            promise(f"at least 1,000 exact counts in 60 s ({told.exact:,})", told.exact >= 1000),
            promise(f"estimated total within 5 % ({off - 1:+.1%})", abs(off - 1) <= 0.05),
        ),
    )
