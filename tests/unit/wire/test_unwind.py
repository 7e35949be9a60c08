from __future__ import annotations

from profiler.wire import unwind as wire


def test_a_word_keeps_its_parts() -> None:
    packed = wire.word(wire.KIND_RBP, -3, 0xABCDE)
    assert packed >> wire.KIND_SHIFT == wire.KIND_RBP
    assert packed >> wire.SLOT_SHIFT & 0xFF == 256 - 3
    assert packed & wire.OFFSET_MASK == 0xABCDE


def test_a_push_site_keeps_its_parts() -> None:
    assert wire.push_site(6, 1, True) == 0x10106
    assert wire.push_site(12, 2, False) == 0x0020C
