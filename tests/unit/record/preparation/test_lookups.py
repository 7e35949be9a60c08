"""What is decided while lookups are being prepared, on parts that are only played."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from profiler.errors import ProbeError
from profiler.model.observed import Calibration
from profiler.probes.planner import ProbePlan
from profiler.probes.trap_cost import ASSUMED_COST
from profiler.record.preparation import lookups as lookup_preparation
from profiler.record.preparation.lookups import LookupSetup, prepare_lookups
from profiler.record.preparation.sampling import Options
from tests.unit.fake_maps import Module

COST = Calibration(700, 9_000, 1_500)
OPTIONS = Options(duration_ns=1)


class Programs:
    """Programs that were loaded for a plan."""

    def __init__(self, macros: dict[str, int], closed: list[int]) -> None:
        self.macros = macros
        self.module = Module()
        self.rejected = ("refused",)
        self.variant = SimpleNamespace(links=SimpleNamespace(value="session"))
        self._closed = closed

    def link_idle(self) -> None:
        """Place nothing."""

    def close(self) -> None:
        self._closed.append(self.macros["RETURNS"])


@pytest.fixture
def prepare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    monkeypatch.setenv("EBPF_PROF_CACHE", str(tmp_path))

    def run(is_safe: bool = True, cost: Calibration | None = COST) -> tuple[LookupSetup, list[int]]:
        closed: list[int] = []
        planner = SimpleNamespace(plan=lambda _verify: ProbePlan((), True, ("planned",)))
        monkeypatch.setattr(lookup_preparation, "ProbePlanner", lambda _code: planner)
        monkeypatch.setattr(
            lookup_preparation, "load_programs", lambda _base, macros, _: Programs(macros, closed)
        )
        monkeypatch.setattr(lookup_preparation, "returns_are_safe", lambda *_: is_safe)
        monkeypatch.setattr(lookup_preparation, "calibrate", lambda *_: cost)
        anything: Any = SimpleNamespace(seccomp_mode=0, code=None)
        base: Any = Module()
        with ExitStack() as stack:
            setup = prepare_lookups(stack, base, anything, anything, OPTIONS)
        return setup, closed

    return run


def test_programs_know_the_targets_code_and_are_closed_with_the_stack(
    prepare: Callable[..., Any],
) -> None:
    setup, closed = prepare()
    code = setup.plan.traversal_code().encode()
    assert setup.programs.module.maps["traversal_code"] == {bytes(4): code}
    assert setup.calibration == COST
    assert setup.warnings == ("planned", "refused")
    assert closed == [1]


def test_without_safe_returns_other_programs_are_loaded(prepare: Callable[..., Any]) -> None:
    setup, closed = prepare(is_safe=False)
    assert closed == [1, 0]
    assert not setup.plan.returns
    assert any("results of lookups are not seen" in warning for warning in setup.warnings)


def test_a_cost_that_cannot_be_measured_is_assumed_and_that_is_said(
    prepare: Callable[..., Any],
) -> None:
    setup, _ = prepare(cost=None)
    assert setup.calibration == ASSUMED_COST
    assert any("the cost of probes is assumed" in warning for warning in setup.warnings)


def test_the_cost_is_measured_once_in_a_boot(prepare: Callable[..., Any]) -> None:
    assert prepare(cost=None)[0].calibration == ASSUMED_COST
    assert prepare(cost=COST)[0].calibration == COST
    assert prepare(cost=Calibration(1, 1, 1))[0].calibration == COST
    other = Calibration(2, 2, 2)
    assert prepare(is_safe=False, cost=other)[0].calibration == other  # without returns


def test_what_has_no_place_for_probes_is_told_what_works(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_verify: bool) -> ProbePlan:
        raise ProbeError("no symbol")

    planner: Any = SimpleNamespace(plan=refuse)
    with pytest.raises(ProbeError) as caught:
        lookup_preparation._plan(planner, OPTIONS)
    assert caught.value.hint == "ebpf-prof asterisk --cpu-only"
