"""Shows where the probes of a target would go, and why."""

from __future__ import annotations

from typing import TextIO

from profiler.asterisk.find import find_asterisk
from profiler.cli.streams import write_out
from profiler.probes.planner import ProbePlan, ProbePlanner
from profiler.process.mappings import TargetCode


def list_probes(pid: int | None, verify: bool) -> None:
    """Show them for the Asterisk with that pid, or the only one."""
    code = TargetCode(find_asterisk(pid).pid)
    code.refresh()
    planner = ProbePlanner(code)
    path = planner.executable().mapping.path
    write_out(lambda plan, out: render(plan, path, out), planner.plan(verify))


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
