"""Which operation a stack is in. Addresses: functions begin at full hundreds, calls lie inside."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from profiler.asterisk.container_calls import NamedCall, SourcePlace
from profiler.model import recording as rec
from profiler.model.observed import UnwindStack
from profiler.record.assembly.call_sites import CallSites
from profiler.record.assembly.operations import SampledOperations
from profiler.record.assembly.stacks import StackIndex
from profiler.wire.unwind import WHOLE

FUNCTIONS = {  # what is exported, by where it begins
    100: "__ao2_find",
    200: "__ao2_callback",
    300: "__ao2_link",
    400: "__ao2_container_clone",
    500: "ao2_container_dup",
    600: "__ast_format_cache_get",
    700: "ast_channel_iterator_next",
    800: "__ao2_iterator_next",
}
CALLS = {  # the callee and the place of the call that returns to an address
    1010: ("__ao2_find", SourcePlace("a.c", 10, "outer")),
    1020: ("__ao2_callback", SourcePlace("a.c", 20, "scan")),
    1030: ("ast_log", SourcePlace("a.c", 30, "outer")),
    1040: ("__ao2_container_clone", SourcePlace("a.c", 40, "copy")),
    1050: ("__ast_format_cache_get", SourcePlace("a.c", 50, "ask")),
    1060: ("ast_channel_iterator_next", SourcePlace(None, None, None)),
    1070: ("ao2_container_dup", SourcePlace(None, None, None)),
    210: ("__ao2_link", SourcePlace("astobj2_container.c", 5, "dup_obj_cb")),
    410: ("ao2_container_dup", SourcePlace(None, None, None)),
    610: ("__ao2_find", SourcePlace(None, None, None)),
}
LEAF = 901  # a comparator, say


class Calls:
    """One file whose exported functions and calls are those above."""

    def before(self, address: int) -> NamedCall | None:
        return NamedCall(address, CALLS[address][0]) if address in CALLS else None

    def place(self, call: NamedCall) -> SourcePlace:
        return CALLS[call.address][1]

    def function(self, address: int) -> str | None:
        return FUNCTIONS.get(address // 100 * 100)


NAMES: Any = SimpleNamespace(
    calls_at=lambda address: (Calls(), address),
    frames=lambda addresses: [rec.Frame(a, 0, a, None, f"f{a}", None) for a in addresses],
)


def sampled(
    *stacks: tuple[int, ...], kernel: tuple[int, ...] = ()
) -> tuple[SampledOperations, CallSites]:
    """Sample each stack once, a millisecond apart."""
    made = {at: UnwindStack(WHOLE, stack, kernel) for at, stack in enumerate(stacks)}
    frames = StackIndex(made, lambda _: None, lambda _: None, True, True)
    samples = [rec.Sample(at * 1_000_000, 1, frames.stack(at) or 0) for at in made]
    sites = CallSites(NAMES, None)
    return SampledOperations(samples, frames, sites, NAMES), sites


def shown(
    *stacks: tuple[int, ...], kernel: tuple[int, ...] = ()
) -> list[tuple[str, rec.CallSite, tuple[int, ...]]]:
    found, sites = sampled(*stacks, kernel=kernel)
    return [(one.name, sites.sites[one.call_site], one.stacks) for one in found.recorded]


def test_a_stack_counts_for_the_call_of_the_operation_it_is_in() -> None:
    found = shown((LEAF, 150, 1010, 1030), (LEAF, 1030), (160, 1010))
    assert found == [("ao2_find", rec.CallSite("a.c", 10, "outer"), (0, 2))]


def test_of_nested_operations_the_innermost_counts() -> None:
    (found,) = shown((LEAF, 150, 1010, 250, 1020))
    assert found[:2] == ("ao2_find", rec.CallSite("a.c", 10, "outer"))


def test_what_a_callback_does_counts_for_its_operation() -> None:
    (found,) = shown((LEAF, 1030, 250, 1020))
    assert found[:2] == ("ao2_callback", rec.CallSite("a.c", 20, "scan"))


def test_container_code_calls_no_operation_of_its_own() -> None:
    (found,) = shown((LEAF, 350, 210, 550, 410, 1040, 1030))
    assert found[:2] == ("ao2_container_clone", rec.CallSite("a.c", 40, "copy"))


def test_a_function_that_hands_its_callers_place_on_is_not_the_place() -> None:
    (found,) = shown((LEAF, 150, 610, 1050, 1030))
    assert found[:2] == ("ao2_find", rec.CallSite("a.c", 50, "ask"))
    (found,) = shown((LEAF, 150, 610, 1030))  # it was jumped to
    assert found[:2] == ("ao2_find", rec.CallSite(None, None, "f609"))


def test_an_operation_that_was_jumped_to_counts_for_who_is_known_to_have_asked() -> None:
    (found,) = shown((850, 1060))
    assert found[:2] == ("ao2_iterator_next", rec.CallSite(None, None, "f1059"))


def test_an_operation_without_a_place_has_its_callers_name() -> None:
    (found,) = shown((550, 1070))
    assert found[:2] == ("ao2_container_dup", rec.CallSite(None, None, "f1069"))


def test_a_stack_without_an_operation_counts_for_none() -> None:
    assert shown((LEAF, 1030), (LEAF,), ()) == []


def test_times_of_samples_are_those_of_the_place() -> None:
    found, _ = sampled((LEAF, 150, 1010), (LEAF, 250, 1020), (LEAF + 1, 150, 1010))
    assert found.sample_times(rec.CallSite("a.c", 10, "outer")) == (0, 2_000_000)
    assert found.sample_times(rec.CallSite("a.c", 99, "outer")) == ()


def test_kernel_frames_are_no_callers() -> None:
    (found,) = shown((150, 1010), kernel=(1020, 1020))
    assert found[:2] == ("ao2_find", rec.CallSite("a.c", 10, "outer"))
