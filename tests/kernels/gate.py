"""The profiler on the kernel that runs, in a few seconds: test_gate.py runs it in guests, as root.

python -m tests.kernels.gate PROGRAM, one that tests/counted.py built. Loads every program in each
way that this kernel has, and holds counts, links and stacks against the truth. Prints the ways.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from profiler.probes.attach import Variant, variants_here
from profiler.process.threads.thread_exits import ThreadExits
from profiler.sampling.sampler import CpuSampler
from profiler.unwind.kernel_tables import TableLibrary, UnwindTables
from profiler.wire.unwind import CAUSES
from tests.counted import Program, check, counted, running
from tests.counting import Counting
from tests.live.outside import code_left, leftovers, present
from tests.ways import way_name

_FREQUENCY_HZ = 200.0
_SAMPLES = 20


def check_way(program: Program, way: Variant) -> None:
    """Count, sample and hear of ends by the programs of one way."""
    pid = program.process.pid
    with Counting(pid, way) as counting:
        check(counted(program, counting))
        counting.check_accounting()
        assert code_left(pid) == []
        check_stacks(program, counting)
        ThreadExits(counting.base).close()


def check_stacks(program: Program, counting: Counting) -> None:
    """Sample the program by its CPU time, also in the kernel: all stacks are whole."""
    library = TableLibrary()
    UnwindTables(counting.base, library).update(counting.code.current)
    sampler = CpuSampler(counting.base, _FREQUENCY_HZ)
    sampler.attach()
    try:
        while sampler.samples.seen < _SAMPLES:
            program.round()
            sampler.drain()
    finally:
        sampler.detach()
    causes = Counter(CAUSES[stack.cause] for stack in sampler.stacks.values())
    assert set(causes) == {"whole"}, causes


def main(path: Path) -> None:
    """Check every way, and that nothing is left of them."""
    before = present()
    ways = variants_here()
    with running(path) as program:
        for way in ways:
            check_way(program, way)
    assert not any(leftovers(before).values())
    print(*map(way_name, ways))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
