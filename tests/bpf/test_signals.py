"""Signals while programs are loaded and links are made, as by Ctrl-Z and fg, change nothing."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from profiler.linux import bpf
from profiler.linux.probe_link_kinds import probe_link_errno
from profiler.probes.attach import variants_here
from profiler.probes.planner import ProbePlan
from profiler.probes.trap_cost import ProbedCode
from tests.programs import lookup_programs

pytestmark = pytest.mark.root

PERIOD_S = 0.002  # the kernel takes longer to verify some of our programs
SIGNALS = 100
LIMIT_S = 300.0
MACROS = ProbePlan((), call_site_arguments=True, warnings=()).definitions()


@contextmanager
def many_signals() -> Iterator[list[int]]:
    """Let signals come all the time, and list those that were handled."""
    handled: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, _: handled.append(number))
    signal.setitimer(signal.ITIMER_REAL, PERIOD_S, PERIOD_S)
    try:
        yield handled
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_the_best_way_is_found_loaded_and_linked() -> None:
    best = variants_here()[0]
    probe_link_errno.cache_clear()
    code = ProbedCode()
    with many_signals() as handled, lookup_programs(MACROS) as programs:
        try:
            assert (programs.variant, programs.rejected) == (best, ())
            deadline = time.monotonic() + LIMIT_S
            enough = len(handled) + SIGNALS
            while len(handled) < enough:
                assert time.monotonic() < deadline
                bpf.close_all(programs.link_idle(code.path, code.places["push"][1], True))
        finally:
            code.close()
