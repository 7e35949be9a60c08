"""A program with containers whose comparators count their own calls: the truth to compare with."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from profiler.wire.lookups import Verdict
from tests.compiled import build
from tests.counting import Count, Counting, in_slots

_FOLDER = Path(__file__).parent / "unit" / "ao2_code"


@dataclass(frozen=True)
class Truth:
    """What the program counted for one container since it began."""

    address: int
    lookups: int
    comparisons: int
    histogram: Counter[int]

    def since(self, before: Truth) -> Truth:
        return Truth(
            self.address,
            self.lookups - before.lookups,
            self.comparisons - before.comparisons,
            self.histogram - before.histogram,
        )


@dataclass(frozen=True)
class Program:
    """A running program that makes its lookups when it is asked to."""

    process: subprocess.Popen[str]

    def round(self) -> dict[str, Truth]:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(".")
        self.process.stdin.flush()
        truths = {}
        for line in iter(self.process.stdout.readline, "done\n"):
            kind, address, lookups, comparisons, *slots = line.split()
            pairs = (slot.split(":") for slot in slots)
            histogram = Counter({int(value): int(count) for value, count in pairs})
            truths[kind] = Truth(int(address, 16), int(lookups), int(comparisons), histogram)
        return truths


def build_program(folder: Path, flags: str) -> Path:
    """Compile the program, and strip it as packages do."""
    source = (_FOLDER / "containers.c").read_text()
    options = ("-DCOUNTED", f"-I{_FOLDER}", "-w", "-rdynamic", "-pthread")
    path = build(folder, source, *flags.split(), *options)
    subprocess.run(["strip", path], check=True)
    return path


@contextmanager
def running(path: Path) -> Iterator[Program]:
    """Run the program until the block ends."""
    with subprocess.Popen(
        [path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout and process.stdout.readline() == "ready\n"
        try:
            yield Program(process)
        finally:
            process.kill()


def counted(program: Program, counting: Counting) -> list[tuple[Truth, Count]]:
    """Return what the program and the probes counted for each container in the same round."""
    with counting.opened():
        program.round()
        counting.learn()
        before = program.round()
        counting.clear()
        truths = [truth.since(before[kind]) for kind, truth in program.round().items()]
        return [(truth, counting.count(truth.address)) for truth in truths]


def check(rounds: list[tuple[Truth, Count]]) -> None:
    """Assert that every lookup of every container was counted exactly."""
    assert len(rounds) == 3
    for truth, count in rounds:
        assert count.verdicts == {Verdict.VERIFIED: truth.lookups}
        assert count.comparisons == truth.comparisons
        assert count.comparison_slots == in_slots(truth.histogram)
