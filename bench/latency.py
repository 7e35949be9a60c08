"""How long placing and removing the lookup probes takes, and how long it holds up who runs into it.

The times are those of the real probes on an Asterisk under a storm of lookups. How long a call is
held up cannot be asked of Asterisk, so that is measured on a program that does nothing but call ten
functions and look at the clock: the same kind of link is placed on them and removed again.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from bench.session import Session
from bench.storm import Storm
from bench.tables import Table, promise
from lab import instance
from lab.instance import Instance
from profiler.binary.elf import Elf
from profiler.linux.bpf import UprobeSite, link_uprobes
from profiler.probes.attach import UprobePrograms
from profiler.record.preparation.sampling import Options

ASTERISK = instance.Options("16")
CYCLES = 30
_SOURCE = Path(__file__).with_name("stalls.c")
_FUNCTIONS = 10
_STALL_SECONDS = 12
CHAIN = 100


def _times_ms(session: Session, pid: int, links: int) -> tuple[list[float], list[float]]:
    """Place and remove all probes by one link or by two; return how long each took."""
    measurement = session.run.lookups
    assert measurement is not None
    probes = measurement.probes
    programs = probes.programs
    points = [probes.point(probe, is_contended=links == 2) for probe in probes.plan.probes]
    attach, detach = [], []
    for _ in range(CYCLES):
        times = [time.monotonic_ns()]
        programs.attach(points, pid)
        times.append(time.monotonic_ns())
        programs.detach()
        times.append(time.monotonic_ns())
        attach.append((times[1] - times[0]) / 1e6)
        detach.append((times[2] - times[1]) / 1e6)
        time.sleep(0.05)
    return attach, detach


def _offsets(path: Path) -> list[int]:
    """Return the file offsets of the `push` in each of the ten functions."""
    listing = subprocess.run(["nm", str(path)], check=True, capture_output=True, text=True).stdout
    symbols = {
        words[-1]: int(words[0], 16)
        for words in map(str.split, listing.splitlines())
        if len(words) == 3
    }
    data = path.read_bytes()
    elf = Elf.from_bytes(data)
    found = []
    for index in range(_FUNCTIONS):
        offset = elf.offset_of(symbols[f"probed{index}"])
        assert offset is not None
        found.append(data.index(b"\x53", offset))
    return found


def _stalls_ms(programs: UprobePrograms) -> tuple[list[float], list[float]]:
    """Return stalls of the looping program while probes come and go, and while nothing happens."""
    busy: list[tuple[int, int]] = []
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "stalls"
        subprocess.run(["cc", "-O1", "-o", str(path), str(_SOURCE)], check=True)
        sites = [UprobeSite(offset, 0) for offset in _offsets(path)]
        with subprocess.Popen(
            [path, str(_STALL_SECONDS)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            end = time.monotonic() + _STALL_SECONDS - 1
            while time.monotonic() < end:
                begin = time.monotonic_ns()
                link = link_uprobes(
                    programs._idle.descriptor,
                    programs.variant.links.attach_type,
                    str(path),
                    sites,
                    process.pid,
                    False,
                )
                placed = time.monotonic_ns()
                os.close(link)
                busy += [(begin, placed), (placed, time.monotonic_ns())]
                time.sleep(0.1)
            lines = process.stdout.read().splitlines()
    stalls = [(int(at), int(ns)) for at, ns in map(str.split, lines)]
    during: list[float] = []
    other: list[float] = []
    for at, ns in stalls:
        is_busy = any(begin <= at <= end + 1_000_000 for begin, end in busy)
        (during if is_busy else other).append(ns / 1e6)
    return during, other


def run(asterisk: Instance) -> Table:
    """Return the table."""
    options = Options(1, budget_ratio=None)
    with Storm(asterisk, 1_000), Session(asterisk.pid, options) as session:
        attach, detach = _times_ms(session, asterisk.pid, links=1)
        measurement = session.run.lookups
        assert measurement is not None
        during, other = _stalls_ms(measurement.probes.programs)
    with Storm(asterisk, CHAIN, threads=8), Session(asterisk.pid, Options(1)) as session:
        session.on(0.5)  # learns which probes are busy
        by_two = _times_ms(session, asterisk.pid, links=2)
    both = [a + b for a, b in zip(attach, detach, strict=True)]
    apart = [a + b for a, b in zip(*by_two, strict=True)]
    rows = [
        _row("placing all probes", attach),
        _row("removing them", detach),
        _row("both", both),
        _row("both, busy probes apart, eight threads", apart),
        _row("a call held up while probes come and go", during),
        _row("a call held up else (this machine's own)", other),
    ]
    most = max(statistics.quantiles(times, n=10)[-1] for times in (both, apart))
    worst = max(during, default=0.0)
    return Table(
        "latency",
        ("ms", "number", "median", "longest"),
        tuple(rows),
        (
            promise(f"placing and removing below 100 ms (nine of ten: {most:.0f})", most < 100),
            promise(f"no call held up for more than 5 ms (longest {worst:.1f})", worst <= 5),
        ),
    )


def _row(name: str, times_ms: list[float]) -> tuple[str, ...]:
    if not times_ms:
        return (name, "0", "below 0.2", "below 0.2")
    median, longest = statistics.median(times_ms), max(times_ms)
    return (name, str(len(times_ms)), f"{median:.2f}", f"{longest:.2f}")
