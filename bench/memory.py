"""How much memory samples need until all files are written: `python -m bench.memory`.

Needs no root and no Asterisk: the records are what the programs send, of stacks that are made up.
"""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bench.tables import Table
from profiler.cli.results import write_results
from profiler.files.output_folder import output_folder
from profiler.model import recording as rec
from profiler.model.observed import Observed, ThreadAccount
from profiler.record.assembly.recording import assemble
from profiler.record.preparation.sampling import Options
from profiler.sampling.bounded_samples import SAMPLES_MAX
from profiler.sampling.sampler import CpuSampler
from profiler.wire.unwind import STACK_HEAD, WHOLE

FRAMES = 30
_ADDRESSES = 20_000
_AT_ONCE = 10_000  # records that are fetched together
_KEYS = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9)  # which make names of 128 bits of a number
_WORD = (1 << 64) - 1


class _Ring:
    """A ring in which samples of so many different stacks come."""

    def __init__(self, stacks: int) -> None:
        self._stacks = stacks
        self._sent = 0
        self._random = random.Random(0)

    def drain(self) -> list[bytes]:
        """Return the next records."""
        return [self._record() for _ in range(_AT_ONCE)]

    def _record(self) -> bytes:
        number = self._sent % self._stacks + 1
        is_new = self._sent < self._stacks
        self._sent += 1
        name = [number * key & _WORD for key in _KEYS]
        head = STACK_HEAD.pack(*name, self._sent * 250_000, 1, FRAMES, 0, WHOLE)
        if not is_new:
            return head
        # The outer frames are few, the inner ones many.
        frames = (
            (depth * 37 + self._random.randrange(1 + depth**2)) % _ADDRESSES << 4
            for depth in reversed(range(FRAMES))
        )
        return head + b"".join(frame.to_bytes(8, "little") for frame in frames)


def _sampler(stacks: int) -> CpuSampler:
    """Return a sampler whose programs are not in the kernel."""
    sent = SimpleNamespace(memory=lambda _: bytearray(8), max_entries=1, value_size=8)
    module: Any = SimpleNamespace(
        load=lambda *_: None,
        set_tail_call=lambda *_: None,
        ring_buffer=lambda _: _Ring(stacks),
        map=lambda _: sent,
    )
    return CpuSampler(module, 4_000)


def _frames(addresses: Any) -> tuple[rec.Frame, ...]:
    return tuple(rec.Frame(at, 0, at, at, f"function_{at >> 6}", "symtab") for at in addresses)


_NAMES: Any = SimpleNamespace(
    path=lambda _: None,
    kernel_function=lambda _: None,
    pin=lambda: None,
    files=lambda: (rec.MappedFile("/usr/sbin/asterisk", None),),
    frames=_frames,
    problems=lambda: (),
    calls_at=lambda _: None,
)


def _recorded(sampler: CpuSampler) -> rec.Recording:
    """Return the recording of what a sampler has fetched."""
    count = len(sampler.samples.kept)
    observed = Observed(
        window=rec.Window(0, sampler.samples.kept[-1][0] + 1),
        stopped_by="duration",
        exited=False,
        samples=tuple(sampler.samples.kept),
        sampled_one_in=1,
        sample_accounting=rec.Accounting(fired=count, kept=count),
        stacks=sampler.stacks,
        account=ThreadAccount((rec.ThreadUse(1, "worker", 10**9, 0, False),), 10**9),
        sockets=(),
        lookups=None,
        calibration=None,
        sampling_cost_ns=0,
        lookup_cost_ns=0,
        without_table=(),
        warnings=(),
    )
    target = rec.Target(1, "/usr/sbin/asterisk", None, None, (), None, False)
    found: Any = SimpleNamespace(recorded=lambda _: target)
    return assemble(found, Options(0, 4_000), "", observed, _NAMES)


def _most_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def measure(stacks: int) -> None:
    """Print the most memory while recording, and until all files were written, in MB."""
    sampler = _sampler(stacks)
    while sampler.samples.seen < SAMPLES_MAX:
        sampler.drain()
    recorded = _most_mb()
    recording = _recorded(sampler)
    del sampler
    with (
        tempfile.TemporaryDirectory() as place,
        output_folder(Path(place) / "results", None) as folder,
    ):
        write_results(recording, folder)
    print(recorded, _most_mb())


def main() -> None:
    """Print the table, each row of a process of its own."""
    rows = []
    for stacks in (500, 50_000, SAMPLES_MAX):
        command = [sys.executable, "-m", "bench.memory", str(stacks)]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rows.append((f"{stacks:,}", *(f"{int(most):,} MB" for most in said.split())))
    headings = ("different stacks", "recording", "until all is written")
    print(Table("memory", headings, tuple(rows)).text())


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(int(sys.argv[1]))
    else:
        main()
