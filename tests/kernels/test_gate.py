"""The profiler works with the kernels that its users have, each booted in a guest."""

from __future__ import annotations

import compileall
import sys
from pathlib import Path

import pytest

from lab import guest
from tests.counted import build_program

pytestmark = pytest.mark.root

ROOT = Path(__file__).parents[2]
LIMIT_S = 1200.0  # for machines that do other work
# What links those kernels have. Kernels before 6.6 load programs for multi links and refuse them.
WAYS = {"5.10": "single-False", "6.1": "single-False"}


@pytest.mark.parametrize("kernel", WAYS)
def test_programs_links_counts_and_stacks(
    kernel: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    for folder in ("profiler", "tests"):  # what the guest compiles, it compiles slowly and forgets
        compileall.compile_dir(folder, quiet=2)
    program = build_program(tmp_path, "-O2")
    ran = guest.run(kernel, (sys.executable, "-m", "tests.kernels.gate", str(program)), LIMIT_S)
    assert ran.code == 0, ran.output
    assert ran.output.splitlines()[-1] == WAYS[kernel]
