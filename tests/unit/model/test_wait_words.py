"""What threads do, in words."""

from __future__ import annotations

from profiler.model.wait_words import calls, doing
from profiler.model.waits import WaitFrame, WaitKind
from tests.wait_examples import frames, other


def test_every_kind_of_wait_has_words() -> None:
    for kind in WaitKind:
        assert doing(other(1, kind))


def test_what_it_does_and_where() -> None:
    assert doing(other(1, WaitKind.SLEEP)) == "sleeps"
    stack = frames("usleep", "a", "b", "c", "d")
    assert doing(other(1, WaitKind.SLEEP, frames=stack)) == "sleeps in usleep < a < b < c < ..."
    assert doing(other(1, WaitKind.JOIN, waits_for=77)) == "waits for a thread to end (77)"


def test_how_locks_are_taken_and_threads_begin_is_left_out() -> None:
    stack = frames("__lll_lock_wait", "__ao2_lock", "handle", "~dummy_start", "clone")
    assert calls(other(1, WaitKind.MUTEX, frames=stack)) == ("handle",)


def test_what_has_no_name_in_the_c_library_is_left_out() -> None:
    def nameless(module: str) -> WaitFrame:
        return WaitFrame(f"{module}+0x91ea0", module, 0x91EA0, 0x1000)

    stack = (nameless("libc.so.6"), nameless("asterisk"), *frames("handle"))
    assert calls(other(1, WaitKind.MUTEX, frames=stack)) == ("asterisk+0x91ea0", "handle")
