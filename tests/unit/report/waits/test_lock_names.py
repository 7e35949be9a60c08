"""What locks are called."""

from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.model.waits import Lock, LockedContainer, LockedObject, LockKind
from profiler.report.waits.lock_names import lock_name
from tests.wait_examples import channel, channels, mutex

CONTAINER = LockedContainer("rbtree", None, None, None, None, None)


def of(destructor: str | None, **more: object) -> Lock:
    return mutex(0x80, 1, object=LockedObject(0x100, destructor, 1), **more)


@pytest.mark.parametrize(
    ("lock", "name"),
    [
        (channels(1), "channels (ast_channel_cmp_cb) (mutex at 0x7f1000000480)"),
        (mutex(8, 1, object=LockedObject(9, "x", 1, CONTAINER)), "rbtree (mutex at 0x8)"),
        (
            replace(channels(1), files=("astobj2_container.c", "channel.c")),
            "channels (ast_channel_cmp_cb) (mutex at 0x7f1000000480)",
        ),
        (channel(1), "channel (mutex at 0x7f1000000080)"),
        (of("~topic_dtor"), "stasis topic (mutex at 0x80)"),
        (of("my_destroy"), "object (my_destroy) (mutex at 0x80)"),
        (of(None), "object (mutex at 0x80)"),
        (of(None, variables=("chan",)), "chan (mutex at 0x80)"),
        (mutex(8, 1, variables=("&iflock",), files=("a.c",)), "&iflock of a.c (mutex at 0x8)"),
        (mutex(8, 1, place="asterisk: uniquelock"), "asterisk: uniquelock (mutex at 0x8)"),
        (mutex(8, 1, place="asterisk+0x3a", variables=("&x",)), "&x (mutex at 0x8)"),
        (mutex(8, 1, place="asterisk+0x3a"), "asterisk+0x3a (mutex at 0x8)"),
        (mutex(8, 1, variables=("&(&thread_list)->lock",)), "&thread_list (mutex at 0x8)"),
        (mutex(8, 1, variables=("&(list)->lock",)), "list (mutex at 0x8)"),
        (Lock(8, LockKind.RWLOCK, None), "a lock (rwlock at 0x8)"),
    ],
)
def test_what_a_lock_is_called(lock: Lock, name: str) -> None:
    assert lock_name(lock) == name


def test_a_name_of_the_target_is_not_endless() -> None:
    assert len(lock_name(of("x" * 100_000))) < 250
