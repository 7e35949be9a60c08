"""What the default budget costs in the field story: 55,585 taskprocessors in seven buckets.

Phones register at a rate that the target can serve. With and without the profiler in turns: the CPU
time that the target needs for a registration, and how many were answered.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bench.pairs import paired_ratio
from bench.session import Session
from bench.tables import Table, promise
from lab import instance, traffic
from lab.instance import Instance
from profiler.preparation import Options

ASTERISK = instance.Options("16", buckets=7, taskprocessors=55_585)
RATE = 25.0
SECONDS = 6.0
TURNS = 10


@dataclass(frozen=True, slots=True)
class Turn:
    """Registrations that were answered, and the target's CPU time for one of them."""

    answered: int
    cpu_ms: float


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _turn(asterisk: Instance, session: Session | None) -> Turn:
    before = _cpu_s(asterisk.pid)
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(traffic.run, "register", asterisk, RATE, round(RATE * SECONDS))
        if session is not None:
            session.on(SECONDS)
        answered = sent.result().successful
    return Turn(answered, 1000 * (_cpu_s(asterisk.pid) - before) / max(answered, 1))


def run(asterisk: Instance) -> Table:
    """Return the table."""
    with_it, without = [], []
    _turn(asterisk, None)
    with Session(asterisk.pid, Options(1)) as session:
        before = _turn(asterisk, None)
        for _ in range(TURNS):
            with_it.append(_turn(asterisk, session))
            after = _turn(asterisk, None)
            mean = (before.cpu_ms + after.cpu_ms) / 2
            without.append(Turn((before.answered + after.answered) // 2, mean))
            before = after
        exact = round(session.verified() * 60 / (TURNS * SECONDS))
        charged = session.run.governor.spent_ns / (TURNS * SECONDS * 1e9)
    ratio = paired_ratio([1 / t.cpu_ms for t in with_it], [1 / t.cpu_ms for t in without])
    answered = (sum(t.answered for t in with_it), sum(t.answered for t in without))
    return Table(
        "story",
        ("registrations by CPU time", "answered with, without", "charged", "exact counts in 60 s"),
        ((str(ratio), f"{answered[0]}, {answered[1]}", f"{100 * charged:.2f} %", f"{exact:,}"),),
        (
            promise(f"throughput at least 99 % ({ratio.median:.4f})", ratio.median >= 0.99),
            promise(f"at least 1,000 exact counts in 60 s ({exact:,})", exact >= 1000),
        ),
    )
