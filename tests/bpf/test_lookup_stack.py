"""The lookup programs leave the target's stack alone, also where no return address lies at rsp."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from profiler.probes.attach import VARIANTS, Variant
from profiler.wire.lookups import LookupCounter
from tests.compiled import build
from tests.counting import Counting
from tests.ways import way_name

pytestmark = pytest.mark.root

SOURCE = (Path(__file__).parents[1] / "unit" / "ao2_code" / "containers.c").read_text()
BUILDS = ("-O0", "-O2", "-O2 -DINLINE_REMOVAL", "-Os -fPIC", "-O2 -no-pie -fno-pie")


def start(program: Path) -> subprocess.Popen[str]:
    """Start the program, and return when it waits for its byte."""
    process = subprocess.Popen(
        [program, "wait"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    stat = Path(f"/proc/{process.pid}/stat")
    while ") S " not in stat.read_text() and time.monotonic() < deadline:
        time.sleep(0.01)
    return process


def finish(process: subprocess.Popen[str]) -> set[str]:
    """Return where it released and unlocked; how often depends on where its objects lie."""
    output, _ = process.communicate("g", timeout=60)
    assert process.returncode == 0
    return set(output.splitlines())


@pytest.mark.parametrize("variant", VARIANTS, ids=way_name)
@pytest.mark.parametrize("flags", BUILDS)
def test_a_target_that_checks_its_stack(tmp_path: Path, flags: str, variant: Variant) -> None:
    if variant.why_not_here():
        return  # this kernel lacks it
    program = build(tmp_path, SOURCE, *flags.split(), "-w", "-rdynamic", "-pthread")
    truth = finish(start(program))
    process = start(program)
    with Counting(process.pid, variant) as counting:
        with counting.opened():
            assert finish(process) == truth
        counters = counting.check_accounting()
    assert counters[LookupCounter.KEPT] > 20
