from __future__ import annotations

from profiler.model.links import LinkStack, ObservedLinks
from profiler.model.observed import ContainerKey, UnwindStack
from profiler.model.quantities import Accounting
from profiler.record.assembly.links import recorded_links
from profiler.record.assembly.stacks import StackIndex
from profiler.wire.unwind import WHOLE

CONTAINERS = {ContainerKey(0x1000, 0x40): 3, ContainerKey(0x2000, 0x40): 0}
ACCOUNTING = Accounting(fired=9, kept=8, filtered=1)


def test_links_point_to_their_container_and_their_stack() -> None:
    stacks = {1: UnwindStack(WHOLE, (0x501, 0x601), ())}
    index = StackIndex(stacks, lambda _: None, lambda _: None, True, True)
    observed = ObservedLinks(((0x1000, 1, 5), (0x2000, 1, 3)), 40, ACCOUNTING)
    links = recorded_links(observed, CONTAINERS, index)
    assert links.stacks == (LinkStack(3, 0, 5), LinkStack(0, 0, 3))
    assert (links.covered_ns, links.accounting) == (40, ACCOUNTING)
    assert index.stacks[0].frames == (index.frame(0x500), index.frame(0x600))


def test_what_is_in_no_container_of_the_recording_or_has_no_stack_is_left_out() -> None:
    stacks = {1: UnwindStack(WHOLE, (0x501,), ())}
    index = StackIndex(stacks, lambda _: None, lambda _: None, True, True)
    observed = ObservedLinks(((0x9000, 1, 5), (0x1000, 2, 3)), 40, ACCOUNTING)
    assert recorded_links(observed, CONTAINERS, index).stacks == ()
