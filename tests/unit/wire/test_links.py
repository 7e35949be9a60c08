from __future__ import annotations

from profiler.wire.links import LINK_STACK, STATE, LinkStack, LinkState


def test_a_stack_has_the_name_that_the_ring_gives_it() -> None:
    link = LinkStack.decode(LINK_STACK.pack(0x1000, 5, 7))
    assert (link.container, link.name) == (0x1000, 7 << 64 | 5)
    assert link.name.to_bytes(16, "little") == LINK_STACK.pack(0x1000, 5, 7)[8:]


def test_a_state_is_read_as_it_was_packed() -> None:
    state = LinkState.decode(STATE.pack(100, 10, 4, 3, 2, 50))
    assert (state.spent_ns, state.events, state.others) == (100, 10, 4)
    assert (state.refused, state.lost, state.used_up_ns) == (3, 2, 50)
