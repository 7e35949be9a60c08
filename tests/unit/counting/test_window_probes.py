from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from profiler.binary.probe_sites import Site
from profiler.counting.window_probes import WindowProbes
from profiler.probes.attach import AttachPoint
from profiler.probes.planner import PlannedProbe
from profiler.wire.lookups import Place, cookie


def probe(place: Place) -> PlannedProbe:
    site = Site("f", 0, 0, "push", True, 0, "")
    point = AttachPoint("/bin/true", 0, place, cookie(place, 0, True), False)
    return PlannedProbe(site, point, frozenset())


class Programs:
    """What was placed, as (place, is busy)."""

    def __init__(self) -> None:
        self.placed: list[list[tuple[Place, bool]]] = []

    def attach(self, points: list[AttachPoint], pid: int) -> None:
        assert pid == 7
        self.placed.append([(Place(p.address), p.is_busy) for p in points])


def made(programs: Programs) -> WindowProbes:
    plan: Any = SimpleNamespace(probes=tuple(map(probe, (Place.FIND, Place.TRAVERSAL_FIRST))))
    discovery: Any = SimpleNamespace(comparisons={1: probe(Place.COMPARISON)}, placed=lambda: None)
    counts: Any = SimpleNamespace(is_busy=lambda found: found.point.address == Place.FIND)
    loaded: Any = programs
    return WindowProbes(loaded, plan, 7, discovery, counts)


def test_a_window_has_the_probes_that_it_needs() -> None:
    programs = Programs()
    probes = made(programs)
    probes.place(predicts=True, is_contended=False)
    placed = [probes.seen]
    probes.place(predicts=False, is_contended=True)
    placed.append(probes.seen)
    find, first, comparison = Place.FIND, Place.TRAVERSAL_FIRST, Place.COMPARISON
    assert programs.placed == [
        [(find, False), (comparison, False)],
        [(find, True), (first, False), (comparison, False)],
    ]
    addresses = [[one.point.address for one in seen] for seen in placed]
    assert addresses == [[find, comparison], [find, comparison, first]]
