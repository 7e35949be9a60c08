"""What the default budget of `ebpf-prof leaks` costs a PBX: with more and more load, and in storms.

The load is the same with and without, in alternation, and comes at its own pace. So what is taken
shows in the CPU time that the target uses for it. Rounds without are compared in the same way with
those beside them: that is the jitter of the machine.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.pairs import median
from bench.tables import Table, promise
from lab import instance, traffic
from lab.instance import Instance
from profiler.asterisk.find import find_asterisk
from profiler.model.leaks import LeaksRecording
from profiler.process.cpu_clock import ProcessClock
from profiler.record.leaks_recorder import LeaksOptions, record_leaks
from profiler.record.progress import Progress, Stop

ASTERISK = instance.Options("16", endpoints=50)
BUDGET_RATIO = 0.01
ROUNDS = 3
SECONDS = 10.0
_STEADY_S = 2.0  # a load begins before it is measured
_PREPARING_S = 6.0  # that preparing and ending a recording may take

Load = Callable[[Instance, float], None]


@dataclass(frozen=True, slots=True)
class Rounds:
    """What the target used in each, as shares of one CPU: one more was alone than followed."""

    alone: list[float]
    followed: list[float] = field(default_factory=list)
    recordings: list[LeaksRecording] = field(default_factory=list)

    def taken(self) -> list[float]:
        """How much more it used than in the rounds before and after."""
        around = zip(self.alone, self.alone[1:], strict=False)
        return [
            on - (before + after) / 2
            for on, (before, after) in zip(self.followed, around, strict=True)
        ]

    def jitter(self) -> list[float]:
        """The same of rounds in which nobody followed."""
        return [
            now - (before + after) / 2
            for before, now, after in zip(self.alone, self.alone[1:], self.alone[2:], strict=False)
        ]


def _register(rate: float) -> Load:
    def send(asterisk: Instance, seconds: float) -> None:
        traffic.run("register", asterisk, rate, round(rate * seconds))

    return send


def _calls(rate: float) -> Load:
    def send(asterisk: Instance, seconds: float) -> None:
        traffic.run("calls", asterisk, rate, round(rate * seconds))

    return send


def _storm(per_second: int) -> Load:
    def make(asterisk: Instance, seconds: float) -> None:
        asterisk.groundtruth(f"objects start rate=20 storm={per_second}")
        time.sleep(seconds)
        asterisk.groundtruth("objects free")

    return make


LOADS: dict[str, tuple[Load, ...]] = {
    "25 REGISTER/s": (_register(25),),
    "100 REGISTER/s": (_register(100),),
    "100 REGISTER/s, 10 calls/s": (_register(100), _calls(10)),
    "references in 8 threads": (_storm(1_000),),
    "as fast as they can": (_storm(10_000),),
}


@contextmanager
def _loaded(asterisk: Instance, loads: Sequence[Load]) -> Iterator[None]:
    """Put a load on the target for one round; it goes on until that is over."""
    with ThreadPoolExecutor(len(loads)) as pool:
        sent = [pool.submit(load, asterisk, _STEADY_S + _PREPARING_S + SECONDS) for load in loads]
        time.sleep(_STEADY_S)
        yield
        for one in sent:
            one.result()


def _used(begin: tuple[int, int], clock: ProcessClock) -> float:
    """Return what the target used since then, as a share of one CPU."""
    return (clock.read_ns() - begin[1]) / (time.monotonic_ns() - begin[0])


def _alone(asterisk: Instance, loads: Sequence[Load], clock: ProcessClock) -> float:
    with _loaded(asterisk, loads):
        begin = (time.monotonic_ns(), clock.read_ns())
        time.sleep(SECONDS)
        return _used(begin, clock)


def _followed(
    asterisk: Instance, loads: Sequence[Load], clock: ProcessClock
) -> tuple[float, LeaksRecording]:
    """Return what the target uses while its objects are followed, and what was seen."""
    begins: list[tuple[int, int]] = []

    def note(_: Progress) -> None:
        begins.append((time.monotonic_ns(), clock.read_ns()))

    target = find_asterisk(asterisk.pid)
    options = LeaksOptions(round(SECONDS * 1e9), BUDGET_RATIO)
    with _loaded(asterisk, loads):
        recording = record_leaks(target, options, Stop(), note, lambda _: None)
        return _used(begins[0], clock), recording


def _rounds(asterisk: Instance, loads: Sequence[Load]) -> Rounds:
    """Follow objects in every other round."""
    clock = ProcessClock(asterisk.pid)
    found = Rounds([_alone(asterisk, loads, clock)])
    for _ in range(ROUNDS):
        used, recording = _followed(asterisk, loads, clock)
        found.followed.append(used)
        found.recordings.append(recording)
        found.alone.append(_alone(asterisk, loads, clock))
    return found


def run(asterisk: Instance) -> Table:
    """Return the table."""
    rows, taken, charged = [], [], []
    for name, loads in LOADS.items():
        found = _rounds(asterisk, loads)
        taken += found.taken()
        charged.append(max(map(_charged, found.recordings)))
        rows.append(
            (
                name,
                f"{100 * statistics.median(found.alone):.1f} %",
                _percent(found.taken()),
                _percent(found.jitter()),
                f"{100 * statistics.median(map(_charged, found.recordings)):.2f} %",
                f"{sum(len(one.objects) for one in found.recordings):,}",
                f"{sum(one.change_accounting.kept for one in found.recordings):,}",
                f"{sum(one.change_accounting.lost for one in found.recordings):,}",
            )
        )
        print("following", *rows[-1], flush=True)
    most = max(charged)
    headings = (
        "load",
        "the target uses",
        "more with it",
        "more without it",
        "charged",
        "objects followed",
        "changes kept",
        "lost",
    )
    return Table(
        "following",
        headings,
        tuple(rows),
        (
            promise(
                f"at most 1 % of one CPU, as far as it is known: {_percent(taken)}",
                median(taken).low <= BUDGET_RATIO,
            ),
            promise(f"never charged more (at most {most:.2%})", most <= BUDGET_RATIO),
        ),
    )


def _charged(recording: LeaksRecording) -> float:
    return recording.cost.lookups_ns / recording.window.duration_ns


def _percent(values: Sequence[float]) -> str:
    found = median([100 * value for value in values])
    return f"{found.median:+.2f} % [{found.low:+.2f}, {found.high:+.2f}]"
