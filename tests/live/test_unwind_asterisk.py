"""Stacks of a packaged, stripped Asterisk under traffic: whole, and equal to gdb's."""

from __future__ import annotations

import os
import random
import signal
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from lab.instance import Instance, Options, start
from profiler.binary.debug_files import OpenFile
from profiler.binary.elf import Elf, ElfError
from profiler.binary.functions import functions
from profiler.process.mappings import CodeFile, LoadedCode
from profiler.wire.unwind import CAUSES, KIND_BAD, KIND_SHIFT
from tests.bpf.unwinding import (
    AT_PROBE,
    KPROBE,
    Unwinding,
    gdb_frames,
    link_at,
    sample,
    unwinding,
)
from tests.ways import plain_links

pytestmark = [pytest.mark.live, pytest.mark.root]

REPOSITORY = Path(__file__).parents[2]
SEED = 20180612
PLACES = 300  # function entries probed in each file
STOPS = 12
# push, push of r8 to r15, sub rsp, endbr64: what functions begin with that save something
BEGINNINGS = (b"\x53", b"\x55", b"\x41", b"\x48\x83\xec", b"\x48\x81\xec", b"\xf3\x0f\x1e\xfa")
FILES = ("/usr/sbin/asterisk", "chan_sip.so", "res_pjsip.so", "libasteriskpj.so", "libc")


@pytest.fixture(scope="module", params=["16", "22"])
def asterisk(request: pytest.FixtureRequest) -> Iterator[Instance]:
    options = Options(
        version=request.param, name=f"live{os.getpid()}-unwind{request.param}", endpoints=100
    )
    with start(options) as instance:
        yield instance


@pytest.fixture
def busy(asterisk: Instance) -> Iterator[Instance]:
    """The instance while it registers, for as long as the test lasts."""
    # Who starts the tests in the background has interrupts ignored, and so would this.
    command = ["env", "--default-signal=INT", sys.executable, "-m", "lab"]
    words = ["traffic", "register", "--rate", "200", "--count", "100000", "--to", asterisk.name]
    sender = subprocess.Popen([*command, *words], cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    try:
        time.sleep(1.5)
        yield asterisk
        assert sender.poll() is None, "the traffic ended before the test"
        sender.send_signal(signal.SIGINT)
        sender.wait(120)
    finally:
        sender.kill()


def tids_of(pid: int) -> tuple[int, ...]:
    return tuple(int(name) for name in os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208


def test_samples_reach_the_threads_start(busy: Instance) -> None:
    with unwinding(busy.pid) as one:
        taken = sample(one, tids_of(busy.pid), 1000)
        tables = [one.library.table(code.file) for code in one.code.current if code.file]
        kinds = Counter(row >> KIND_SHIFT & 0xF for table in tables for row in table.rows)
        assert kinds[KIND_BAD] < kinds.total() / 1000
    causes = Counter(CAUSES[stack.cause] for stack in taken.stacks)
    assert causes["whole"] >= 0.999 * len(taken.stacks), causes
    fired, kept, lost, truncated = taken.counters
    assert lost == 0
    assert fired == kept + truncated


def all_code_below(root: Path) -> list[CodeFile]:
    """The executable, all packaged modules and all libraries of a root, mapped or not."""
    found = []
    for path in (root / "usr/sbin/asterisk", *sorted((root / "usr/lib").rglob("*.so*"))):
        if path.is_file() and not path.is_symlink():
            handle = OpenFile(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
            with suppress(ElfError):
                elf = Elf.from_fd(handle.fd)
                found.append(CodeFile(str(path), elf, elf.build_id, handle))
    return found


TABLES = """
import sys
from pathlib import Path
from test_unwind_asterisk import all_code_below
from profiler.unwind.kernel_tables import TableLibrary
library = TableLibrary()
tables = [library.table(file) for file in all_code_below(Path(sys.argv[1]))]
print(len(tables), sum(8 * len(t.rows) + 4 * len(t.blocks) + len(t.rules) for t in tables))
"""


def test_tables_of_everything_packaged_can_be_made(asterisk: Instance) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", TABLES, str(asterisk.root)]
    run = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    count, size = run.stdout.split()
    assert int(count) > 250
    assert int(size) < 100 << 20


def entries_of(code: LoadedCode, chance: random.Random) -> list[int]:
    """File offsets of some functions' first instructions."""
    assert code.file is not None
    elf = code.file.elf
    starts = list(functions(elf).starts)
    usual = [at for at in starts if (elf.read_at(at, 4) or b"").startswith(BEGINNINGS)]
    chosen = chance.sample(usual, min(PLACES, len(usual)))
    return [offset for at in chosen if (offset := elf.offset_of(at)) is not None]


def link_entries(one: Unwinding, pid: int, chance: random.Random) -> list[int]:
    attach_type = plain_links().attach_type
    program = one.load("probe_stop", "probe_stop_unwind", "probe_stops", KPROBE, attach_type)
    links = []
    for code in one.code.current:
        if any(name in code.mapping.path for name in FILES) and code.file is not None:
            assert code.file.handle is not None
            path = f"/proc/self/fd/{code.file.handle.fd}"
            links += link_at(program, path, entries_of(code, chance), pid)
    return links


def is_stopped(pid: int) -> bool:
    return "State:\tT" in Path(f"/proc/{pid}/status").read_text()


def test_frames_equal_gdb_where_functions_are_entered(busy: Instance, tmp_path: Path) -> None:
    pid = busy.pid
    program = busy.root / "usr/sbin/asterisk"
    compared: list[int] = []
    with unwinding(pid, AT_PROBE) as one:
        states = one.module.map("probe_states")
        states.set(struct.pack("<I", 0), bytes(states.value_size))
        ring = one.module.ring_buffer("probe_hits")
        links = link_entries(one, pid, random.Random(SEED))
        try:
            while len(compared) < STOPS:
                time.sleep(random.Random(len(compared)).random() / 10)
                one.module.map("probe_armed").set(struct.pack("<I", 0), struct.pack("<I", 1))
                records: list[bytes] = []
                deadline = time.monotonic() + 120
                while not records or not is_stopped(pid):
                    records += ring.drain()
                    one.fetch()
                    assert time.monotonic() < deadline
                    time.sleep(0.01)
                hit = one.hit(records[0])
                stack = hit.stack
                gdb = tuple(at for at, _ in gdb_frames(hit.what, tmp_path, program, busy.root))
                os.kill(pid, signal.SIGCONT)
                assert CAUSES[stack.cause] == "whole"
                assert stack.frames[1:] == gdb[1:]
                assert 0 <= gdb[0] - stack.frames[0] < 16  # the probed instruction may be over
                compared.append(len(gdb))
        finally:
            for number in links:
                os.close(number)
            os.kill(pid, signal.SIGCONT)
    assert max(compared) > 8
