from __future__ import annotations

import struct
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from profiler.binary.probe_sites import Site
from profiler.counting import discovery
from profiler.counting.discovery import MAX_COMPARISON_PROBES, Discovery
from profiler.linux.module import BpfModule
from profiler.model.observed import ContainerState
from profiler.probes.attach import AttachPoint
from profiler.probes.planner import PlannedProbe, ProbePlanner
from profiler.wire.lookups import Kind, Layout
from profiler.wire.unwind import push_site
from tests.unit.fake_maps import Map, Module


class Planner:
    """Places a probe on each function but those refused."""

    def __init__(self, instruction: str, refused: set[int]) -> None:
        self._instruction = instruction
        self._refused = refused
        self.asked: list[int] = []
        self.replaced: set[int] = set()

    def comparison(self, function: int) -> PlannedProbe | None:
        self.asked.append(function)
        if function in self._refused:
            return None
        site = Site("comparison function", function, function, self._instruction, True, 0, "")
        return PlannedProbe(
            site, AttachPoint("/bin/true", function, function + 0x100, 0, False), frozenset()
        )

    def is_current(self, function: int, probe: PlannedProbe) -> bool:
        assert probe.point.address == function + 0x100
        return function not in self.replaced


UNKNOWN_CODE = 0x7F0000000000


def is_code(address: int) -> bool:
    return address < UNKNOWN_CODE


@pytest.fixture
def module() -> Module:
    return Module()


Make = Callable[[Planner], Discovery]


@pytest.fixture
def make(module: Module) -> Make:
    target: Any = SimpleNamespace(memory=None, is_code=is_code)  # no container is met here
    return lambda planner: Discovery(cast(BpfModule, module), cast(ProbePlanner, planner), target)


def want(module: Module, callback: int, sort_function: int) -> None:
    module.map("wanted_functions").set(
        struct.pack("<Q", callback), struct.pack("<Q", sort_function)
    )


def test_functions_that_are_wanted_get_probes_once(module: Module, make: Make) -> None:
    planner = Planner("je 0x1234", refused={0x3000})
    discovery = make(planner)
    want(module, 0x1000, 0x2000)
    want(module, 0x3000, 0x2000)
    assert discovery.look()
    assert sorted(discovery.comparisons) == [0x1000, 0x2000]
    assert not discovery.look()
    assert sorted(planner.asked) == [0x1000, 0x2000, 0x3000]


def test_the_programs_hear_of_probes_when_they_are_placed(module: Module, make: Make) -> None:
    discovery = make(Planner("je 0x1234", set()))
    want(module, 0x1000, 0x2000)
    discovery.look()
    assert not module.map("trapped_functions")
    discovery.placed()
    assert {struct.unpack("<Q", key)[0] for key in module.map("trapped_functions")} == {
        0x1000,
        0x2000,
    }


@pytest.mark.parametrize("name", ["wanted_functions", "unknown_v_tables"])
def test_a_full_table_of_what_the_programs_ask_for_is_noticed(
    module: Module, make: Make, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "read_container", lambda *_: None)
    made = make(Planner("je 0x1234", set()))
    for number in range(1, Map.max_entries + 1):
        assert not made.lacks_room
        module.map(name).set(struct.pack("<Q", number << 12), struct.pack("<Q", 0x2000))
        made.look()
    assert made.lacks_room


def test_functions_of_a_module_that_was_replaced_are_forgotten(module: Module, make: Make) -> None:
    planner = Planner("push %rbx", set())
    discovery = make(planner)
    want(module, 0x1000, 0x2000)
    discovery.look()
    discovery.placed()
    assert len(module.map("cpu_push_sites")) == 2
    module.map("wanted_functions").clear()
    planner.replaced.add(0x2000)
    assert discovery.look()
    assert list(discovery.comparisons) == [0x1000]
    assert list(module.map("trapped_functions")) == [struct.pack("<Q", 0x1000)]
    assert list(module.map("cpu_push_sites")) == [struct.pack("<Q", 0x1100)]
    assert not discovery.look()


def test_functions_of_a_module_that_is_not_known_yet_are_asked_for_again(
    module: Module, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    planner = Planner("je 0x1234", set())
    discovery = make(planner)
    want(module, UNKNOWN_CODE, 0x2000)
    assert discovery.look()
    assert not discovery.look()
    assert planner.asked == [0x2000]
    monkeypatch.setitem(globals(), "UNKNOWN_CODE", UNKNOWN_CODE + 1)  # its mapping was read
    assert discovery.look()
    assert planner.asked == [0x2000, UNKNOWN_CODE - 1]


def test_the_sampler_hears_of_pushes_among_them(module: Module, make: Make) -> None:
    want(module, 0x1000, 0x1000)
    make(Planner("push %rbx", set())).look()
    assert module.map("cpu_push_sites") == {
        struct.pack("<Q", 0x1100): struct.pack("<I", push_site(3, 1, True))
    }


def test_there_is_a_bound_on_probes(module: Module, make: Make) -> None:
    module.map("wanted_functions").max_entries = 256
    discovery = make(Planner("je 0x1234", set()))
    for number in range(MAX_COMPARISON_PROBES // 2):
        want(module, 0x1000 + 16 * number, 0x90000 + 16 * number)
    assert discovery.look()
    assert not discovery.lacks_room
    for number in range(MAX_COMPARISON_PROBES):
        want(module, 0x1000 + 16 * number, 0x90000 + 16 * number)
    assert not discovery.look()
    assert len(discovery.comparisons) == MAX_COMPARISON_PROBES
    assert discovery.lacks_room


class FullMap(Map):
    """A BPF map without room."""

    def set(self, key: bytes, value: bytes) -> None:
        raise OSError(7, "layouts: Argument list too long")


def test_a_target_with_too_many_kinds_of_containers_does_not_end_the_recording(
    module: Module, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = ContainerState(0x7000, None, None, None, 0, 1, Layout(Kind.HASH, 56, 16, 48))
    monkeypatch.setattr(discovery, "read_container", lambda *_: state)
    module.maps["layouts"] = FullMap()
    module.map("unknown_v_tables").set(struct.pack("<Q", 0x7000), struct.pack("<Q", 0x9000))
    made = make(Planner("je 0x1234", set()))
    assert not made.look()
    assert not module.map("layouts")
    assert made.lacks_room
