"""Return probes in processes whose system calls are filtered; on this kernel, for real."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from profiler.binary.probe_sites import Site
from profiler.probes import seccomp
from profiler.probes.attach import AttachPoint
from profiler.probes.planner import PlannedProbe, ProbePlan
from profiler.probes.seccomp import returns_are_safe
from tests.programs import lookup_programs


def plan() -> ProbePlan:
    site = Site("__ao2_find", 0x10, 0x10, "push %rbp", True, 0, "")
    probes = (PlannedProbe(site, AttachPoint("/bin/true", 0x10, 0x5010, 0, True), frozenset()),)
    return ProbePlan(probes, call_site_arguments=True, warnings=())


@pytest.mark.root
@pytest.mark.parametrize("own", [0, 2])
def test_a_filtered_child_is_tried_with_a_real_probe(
    own: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seccomp, "read_process", lambda _pid: SimpleNamespace(seccomp_mode=own))
    hits = SimpleNamespace(count=0)
    with lookup_programs(plan().definitions()) as programs:

        def attach(path: str, offset: int, with_return: bool, pid: int) -> list[int]:
            hits.count += 1
            return programs.link_idle(path, offset, with_return, pid)

        safe = returns_are_safe(2 if own == 0 else 0, attach)
    # Linux 6.14 and later let the call pass. Older ones kill, unless the change was backported.
    release = tuple(int(part) for part in os.uname().release.split(".")[:2])
    assert hits.count == 1
    assert safe or release < (6, 14)


def test_a_plan_without_returns_traps_none_and_says_so() -> None:
    changed = plan().without_returns()
    assert [probe.point.with_return for probe in changed.probes] == [False]
    assert changed.definitions()["RETURNS"] == 0
    assert plan().definitions()["RETURNS"] == 1
    assert "filtered" in changed.warnings[-1]
