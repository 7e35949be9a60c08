"""Lets the profiler begin and end in time on a machine whose threads fill the CPUs.

All of it has the highest ordinary priority: nice -20, which its children inherit, and which leaves
others a part of each CPU. Between hundreds of runnable threads that is too little to begin with.
There it has realtime priority while it prepares, and from the recording's end on. Should it hang,
the kernel interrupts it when it used the CPU for 2 s without waiting for anything, which ends that,
and ends the process after a minute (RLIMIT_RTTIME in getrlimit(2)).
"""

from __future__ import annotations

import os  # and no more: who waits for a CPU takes long to load modules

HIGHEST = -20
NOT_RAISED = (
    "the profiler may not raise its priority (CAP_SYS_NICE): where threads wait for a CPU it "
    "begins and ends late"
)
# At nice -20 a thread weighs as much as 87 at nice 0 (sched_prio_to_weight in kernel/sched/core.c,
# Linux 6.18). Between more than this on its CPU it would run for less than four fifths of the time.
_LONG_WAIT_RATIO = 20
_INTERRUPTED_US, _ENDED_US = 2_000_000, 60_000_000
_SCHEDSTAT = "/proc/self/schedstat"


def raise_priority() -> None:
    """Run before all ordinary threads from now on, if we may; children inherit it.

    Who started us at a lower priority than usual wants it so.
    """
    if _nice() > 0:
        return
    waits_long = _waited_ratio() > _LONG_WAIT_RATIO
    try:  # noqa: SIM105  # contextlib is one of them
        os.setpriority(os.PRIO_PROCESS, 0, HIGHEST)
    except OSError:
        pass
    if waits_long or _has_realtime():  # somebody wants it: chrt(1)
        _run_in_realtime()


def is_refused() -> bool:
    """Return whether we do not run before all ordinary threads, though nobody wants it so."""
    return HIGHEST < _nice() <= 0


class WithoutRealtime:
    """Gives realtime priority up for a while, if there is any."""

    def __enter__(self) -> None:
        self._had_realtime = _has_realtime()
        if self._had_realtime:
            _run_ordinarily()

    def __exit__(self, *_: object) -> None:
        if self._had_realtime:
            _run_in_realtime()


def _nice() -> int:
    try:
        return os.getpriority(os.PRIO_PROCESS, 0)
    except OSError:
        return 0


def _has_realtime() -> bool:
    try:
        return os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK == os.SCHED_RR
    except OSError:
        return False


def _waited_ratio() -> float:
    """Return how many times as long as it ran this thread waited for a CPU since it started."""
    try:
        with open(_SCHEDSTAT) as file:  # noqa: PTH123
            ran_ns, waited_ns, _ = map(int, file.read().split())
    except (OSError, ValueError):
        return 0.0
    return waited_ns / max(ran_ns, 1)


def _run_in_realtime() -> None:
    import resource
    import signal

    try:
        resource.setrlimit(resource.RLIMIT_RTTIME, (_INTERRUPTED_US, _ENDED_US))
        signal.signal(signal.SIGXCPU, lambda *_: _run_ordinarily())
        least = os.sched_param(os.sched_get_priority_min(os.SCHED_RR))
        os.sched_setscheduler(0, os.SCHED_RR, least)
    except (OSError, ValueError):
        pass


def _run_ordinarily() -> None:
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
