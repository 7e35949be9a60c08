"""How long placing and removing the lookup probes takes, and how long it holds up who runs into it.

The times are those of the real probes on an Asterisk under a storm of lookups. How long a call is
held up cannot be asked of Asterisk, so that is measured on a program that does nothing but call ten
functions and look at the clock: the same kind of link is placed on them and removed again.
"""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from bench.session import Session
from bench.storm import Storm
from bench.tables import Table, promise
from lab.instance import Instance
from profiler.elf import ElfFile
from profiler.preparation import Options
from profiler.syscalls import UprobePlace, link_uprobes
from profiler.uprobes import UprobePrograms

CYCLES = 30
_SOURCE = Path(__file__).with_name("stalls.c")
_FUNCTIONS = 10


def _times_ms(session: Session, pid: int) -> tuple[list[float], list[float]]:
    """Place and remove all probes; return how long each took."""
    measurement = session.run.lookups
    assert measurement is not None
    programs: UprobePrograms = measurement._programs
    places = measurement._plan.places
    attach, detach = [], []
    for _ in range(CYCLES):
        times = [time.monotonic_ns()]
        programs.attach(places, pid)
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
    symbols = {line.split()[-1]: int(line.split()[0], 16) for line in listing.splitlines() if "T" in line}
    data = path.read_bytes()
    elf = ElfFile(data)
    offsets = []
    for index in range(_FUNCTIONS):
        offset = elf.offset_of(symbols[f"probed{index}"])
        offsets.append(data.index(b"\x53", offset))
    return offsets


def _stalls_ms(programs: UprobePrograms, seconds: int) -> tuple[list[float], list[float]]:
    """Return stalls of the looping program while probes come and go, and while nothing happens."""
    busy: list[tuple[int, int]] = []
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "stalls"
        subprocess.run(["cc", "-O1", "-o", str(path), str(_SOURCE)], check=True)
        places = [UprobePlace(offset, 0) for offset in _offsets(path)]
        with subprocess.Popen([path, str(seconds)], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            while process.poll() is None and len(busy) < CYCLES:
                begin = time.monotonic_ns()
                links = programs.link_idle_places(str(path), places, process.pid)
                placed = time.monotonic_ns()
                links.close()
                busy += [(begin, placed), (placed, time.monotonic_ns())]
                time.sleep(0.1)
            lines = process.stdout.read().splitlines()
    stalls = [(int(line.split()[0]), int(line.split()[1])) for line in lines]
    during = [ns / 1e6 for at, ns in stalls if any(a <= at <= b + 1_000_000 for a, b in busy)]
    other = [ns / 1e6 for at, ns in stalls if not any(a <= at <= b + 1_000_000 for a, b in busy)]
    return during, other
