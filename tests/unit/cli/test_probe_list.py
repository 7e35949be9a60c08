from __future__ import annotations

import io

from profiler.binary.probe_sites import Site
from profiler.cli.probe_list import render
from profiler.probes.attach import AttachPoint
from profiler.probes.planner import PlannedProbe, ProbePlan


def probe(function: str, emulated: bool, with_return: bool) -> PlannedProbe:
    site = Site(function, 0x6DB44, 0x6DB44, "push rbp", emulated, 0, "first push")
    return PlannedProbe(
        site, AttachPoint("/proc/1/exe", 0x6DB44, 0x1000, 0, with_return), frozenset()
    )


def test_each_probe_has_its_place_its_cost_and_the_reason() -> None:
    probes = (probe("__ao2_find", True, True), probe("first", False, False))
    out = io.StringIO()
    plan = ProbePlan(probes, call_site_arguments=True, warnings=("no release",))
    render(plan, "/usr/sbin/asterisk", out)
    assert (
        out.getvalue()
        == """\
2 probes in /usr/sbin/asterisk; none is placed now

__ao2_find (entry and return)
    asterisk+0x6db44  push rbp
    cheap: the kernel emulates it; first push

first (passed)
    asterisk+0x6db44  push rbp
    expensive: single-stepped; first push

warning: no release
"""
    )
