"""Shows where the probes of a target would go, and why. Pure."""

from __future__ import annotations

from typing import TextIO

from profiler.probes.planner import ProbePlan


def render(plan: ProbePlan, executable: str, out: TextIO) -> None:
    """Write one paragraph for each probe: function, place, instruction, cost class, reason."""
    name = executable.rsplit("/", 1)[-1]
    out.write(f"{len(plan.probes)} probes in {executable}; none is placed now\n")
    for probe in plan.probes:
        site = probe.site
        cost = "cheap: the kernel emulates it" if site.emulated else "expensive: single-stepped"
        where = "entry and return" if probe.point.with_return else "passed"
        out.write(f"\n{site.function} ({where})\n")
        out.write(f"    {name}+{site.vaddr:#x}  {site.instruction}\n")
        out.write(f"    {cost}; {site.reason}\n")
    for warning in plan.warnings:
        out.write(f"\nwarning: {warning}\n")
