"""Counts in programs that lie in memory, and call, as other builds of Asterisk do."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from profiler.wire import LookupCounter, Verdict
from tests.compiled import build
from tests.counting import Counting, in_slots

pytestmark = pytest.mark.root

FOLDER = Path(__file__).parent.parent / "unit" / "ao2_code"
SOURCE = (FOLDER / "containers.c").read_text()
BUILDS = ("-O0", "-O2", "-O3", "-Os", "-O0 -fPIC", "-O2 -fPIC")
FAMILIES = ("", "-DAO2_DEBUG", "-DASTERISK_13", "-DASTERISK_13 -DAO2_DEBUG")
# Find calls callback through the procedure linkage table, so that both are entered.
CALLS_THROUGH = {"-O0", "-Os", "-O0 -fPIC", "-O2 -fPIC"}


@dataclass(frozen=True)
class Truth:
    """What the program counted for one container since it began."""

    address: int
    lookups: int
    comparisons: int
    histogram: Counter[int]


@dataclass(frozen=True)
class Program:
    """A running program that makes its lookups when it is told to."""

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


@contextmanager
def running(folder: Path, flags: str) -> Iterator[Program]:
    options = ("-DCOUNTED", f"-I{FOLDER}", "-w", "-rdynamic", "-pthread")
    path = build(folder, SOURCE, *flags.split(), *options)
    subprocess.run(["strip", path], check=True)
    with subprocess.Popen(
        [path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout and process.stdout.readline() == "ready\n"
        try:
            yield Program(process)
        finally:
            process.kill()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("flags", BUILDS)
def test_layouts_are_told_by_what_is_in_memory(tmp_path: Path, flags: str, family: str) -> None:
    with (
        running(tmp_path, f"{flags} {family}") as program,
        Counting(program.process.pid) as counting,
        counting.opened(),
    ):
        program.round()
        counting.learn()
        before = program.round()
        counting.clear()
        after = program.round()
        for kind, truth in after.items():
            count = counting.count(truth.address)
            lookups = truth.lookups - before[kind].lookups
            assert count.verdicts == {Verdict.VERIFIED: lookups}, kind
            assert count.comparisons == truth.comparisons - before[kind].comparisons
            assert count.comparison_slots == in_slots(truth.histogram - before[kind].histogram)
        counting.close()
        counters = counting.check_accounting()
        assert counters[LookupCounter.UNFINISHED] == 0
        if flags in CALLS_THROUGH:
            assert counters[LookupCounter.INNER] > 0
