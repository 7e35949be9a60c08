from __future__ import annotations

from profiler.model import offcpu as o
from profiler.model.off_cpu_profile import IDLE_KINDS, KindTime, LockPlace, RoleWaits


def test_idle_kinds_are_kinds_and_no_locks() -> None:
    assert set(o.KINDS) > IDLE_KINDS
    assert not IDLE_KINDS & {o.LOCK, o.FUTEX, o.DISK, o.PREEMPTED}


def test_a_role_has_idle_time_and_other_time() -> None:
    role = RoleWaits("role", 2, (KindTime(o.LOCK, 1, 5.0), KindTime(o.SLEEP, 1, 90.0)))
    assert (role.time_ns, role.idle_ns, role.of(o.LOCK), role.of(o.DISK)) == (5, 90, 5, 0)


def test_a_place_begins_with_the_role_and_says_it_once() -> None:
    place = LockPlace("do_monitor (chan_sip.so)", ("do_monitor", "asks"), 1, 1, 1, 1)
    assert place.label == "do_monitor (chan_sip.so) -> asks"
