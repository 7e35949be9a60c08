"""Task processors whose tasks wait for long, or for one of them. Pure.

A task processor executes one task at a time. So either one task holds all others up, or they come
faster than they can be executed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from profiler.findings.wording import duration, percent
from profiler.model.finding import Finding, Severity
from profiler.model.profile import Profile
from profiler.model.subject import Subject
from profiler.model.task_profile import TaskFunction, TaskProfile, TaskQueue

# After so long a SIP request is sent again that nobody answered: timer T1 of RFC 3261, 17.1.1.1.
_LONG_NS = 500_000_000
_LEAST_COVERED_NS = 500_000_000  # of windows: within less, nothing may have been due
_BUSY_RATIO = 0.9  # of the threads of pools
_LISTED = 3
# From so many on Asterisk warns (taskprocessor.h, AST_TASKPROCESSOR_HIGH_WATER_LEVEL). Those that
# route messages may have a higher mark: CDR, CEL and AMI have.
_HIGH_WATER = 500
_POOL = "taskpool/"  # since 22.7 a pool is task processors of this name, with a thread each
_OWN_MARK = "stasis/m:"


def tasks(profile: Profile) -> Iterator[Finding]:
    """Yield what is found about task processors: those that are held up, then the others."""
    known = profile.tasks
    if known is None:
        return
    queues = sorted(known.queues, key=lambda queue: -queue.times.longest_wait_ns)
    held = [queue for queue in queues if _holder(queue) is not None]
    late = [queue for queue in queues if queue not in held and _is_late(known, queue)]
    yield from _findings(known, "slow-task", held, _held_title, _held_advice)
    yield from _findings(known, "queue-wait", late, _late_title, _late_advice)


def _holder(queue: TaskQueue) -> TaskFunction | None:
    """Return the function that holds the queue up; None if none does."""
    worst = max(queue.functions, key=lambda function: function.held_ns, default=None)
    return worst if worst is not None and worst.held_ns >= _LONG_NS else None


def _is_late(known: TaskProfile, queue: TaskQueue) -> bool:
    return (
        (queue.times.wait_ns.p99 or 0) >= _LONG_NS
        or queue.times.longest_waiting_ns >= _LONG_NS
        or _is_over(queue)
        or _is_stuck(known, queue)
    )


def _is_over(queue: TaskQueue) -> bool:
    """Return whether it reached its high water mark, as far as that is known."""
    return (queue.lengths.max or 0) >= _HIGH_WATER and not queue.name.startswith(_OWN_MARK)


def _is_stuck(known: TaskProfile, queue: TaskQueue) -> bool:
    """Return whether every look found tasks, and none began."""
    is_seen = known.covered_ns >= _LEAST_COVERED_NS
    return is_seen and bool(queue.lengths.least) and not queue.times.begun


def _findings(
    known: TaskProfile,
    identifier: str,
    queues: Sequence[TaskQueue],
    title: Callable[[TaskProfile, TaskQueue], str],
    advice: Callable[[TaskProfile, TaskQueue], str],
) -> Iterator[Finding]:
    """Yield a finding on each, or one on all if they are many."""
    if len(queues) <= _LISTED:
        for queue in queues:
            shown = (*_evidence(known, queue), *_over(known, [queue]))
            yield Finding(
                identifier,
                0,
                f"{queue.label}: {title(known, queue)}",
                shown,
                None,
                advice(known, queue),
                _severity(known, [queue]),
                Subject(queues=(queue.name,)),
            )
        return
    worst = queues[0]
    listed = [f"{queue.label}: {title(known, queue)}" for queue in queues[1:_LISTED]]
    yield Finding(
        identifier,
        0,
        f"{worst.label} and {len(queues) - 1:,} more: {title(known, worst)}",
        (
            *_evidence(known, worst),
            *listed,
            f"and {len(queues) - _LISTED:,} more: see TASK PROCESSORS",
            *_over(known, queues),
        ),
        None,
        advice(known, worst),
        _severity(known, queues),
        Subject(queues=tuple(queue.name for queue in queues[:_LISTED])),
    )


def _severity(known: TaskProfile, queues: Sequence[TaskQueue]) -> Severity:
    if _is_pjsip(known) and any(map(_is_over, queues)):
        return Severity.LOST
    is_stuck = any(_is_stuck(known, queue) for queue in queues)
    return Severity.SATURATED if is_stuck else Severity.WAITING


def _is_pjsip(known: TaskProfile) -> bool:
    return any(queue.name.startswith("pjsip/") for queue in known.queues)


def _held_title(known: TaskProfile, queue: TaskQueue) -> str:
    holder = _holder(queue)
    assert holder is not None
    waited = duration(queue.times.longest_wait_ns)
    return f"tasks wait up to {waited} behind {holder.name}"


def _held_advice(known: TaskProfile, queue: TaskQueue) -> str:
    return (
        "A task processor executes one task at a time. See what this one does, in the flame graph, "
        "or waits for: sudo ebpf-prof waits, while it happens."
    )


def _late_title(known: TaskProfile, queue: TaskQueue) -> str:
    if _is_stuck(known, queue):
        return f"{queue.lengths.least or 0:,} tasks or more wait, and none was executed"
    longest_ns = queue.times.longest_wait_ns
    if longest_ns < _LONG_NS:
        return f"{queue.lengths.max or 0:,} tasks waited in its queue"
    return f"tasks wait up to {duration(longest_ns)} before they run"


def _late_advice(known: TaskProfile, queue: TaskQueue) -> str:
    if _is_stuck(known, queue):
        return (
            "What should execute them may wait for a lock. See who waits for whom: "
            "sudo ebpf-prof waits"
        )
    if _busy_pools(known):
        return (
            "All threads of a pool are busy. See what they do; for a larger pool: max_size in "
            "pjsip.conf or stasis.conf."
        )
    most = queue.functions[0].name if queue.functions else None
    where = "" if most is None else f" Most of its time is in {most}: see what that does."
    return f"Tasks come faster than they can be executed, one at a time.{where}"


def _evidence(known: TaskProfile, queue: TaskQueue) -> Iterator[str]:
    """Yield what was seen of tasks, of the function that ran longest, and of pools."""
    times, lengths = queue.times, queue.lengths
    if times.wait_ns.p50 is not None and times.wait_ns.p99 is not None:
        yield (
            f"{queue.tasks_per_s:,.3g} tasks a second; half of them waited "
            f"{duration(times.wait_ns.p50)} or more, 1 % {duration(times.wait_ns.p99)} or more"
        )
    if times.waiting:
        oldest = duration(times.longest_waiting_ns)
        yield f"{times.waiting:,} had not begun at the end, one for {oldest}"
    if times.run_ns.total:
        yield f"it executes tasks {percent(queue.busy / queue.count)} of the time"
    if lengths.max:
        yield f"up to {lengths.max:,} waited at once"
    yield from _function_evidence(_holder(queue) or next(iter(queue.functions), None))
    yield from _busy_pools(known)


def _function_evidence(function: TaskFunction | None) -> Iterator[str]:
    if function is None:
        return
    runs = function.times.run_ns
    pushed = f", pushed by {function.pushed_by}" if function.pushed_by else ""
    if runs.p50 is None or runs.max is None:
        yield f"{function.name} did not end{pushed}"
        return
    ran = f"runs {duration(runs.p50)} typically, {duration(runs.max)} at most"
    yield f"{function.name} {ran}{pushed}"


def _busy_pools(known: TaskProfile) -> tuple[str, ...]:
    """Return a line on each kind of threads of pools that are all busy."""
    pools = [(one.title, one.busy, one.count) for one in known.threads if one.is_pool]
    pools += [(one.name, one.busy, one.count) for one in known.queues if _POOL in one.name]
    return tuple(
        f"{name}: {busy:.1f} of {count:,} threads are busy"
        for name, busy, count in pools
        if busy >= _BUSY_RATIO * count
    )


def _over(known: TaskProfile, queues: Sequence[TaskQueue]) -> Iterator[str]:
    """Yield what it means that a queue reached its high water mark."""
    if not any(map(_is_over, queues)):
        return
    yield f"it reached the high water mark, {_HIGH_WATER}: from there on Asterisk warns"
    if _is_pjsip(known):
        yield (
            "meanwhile PJSIP refuses new SIP requests, unless taskprocessor_overload_trigger in "
            "pjsip.conf says otherwise"
        )
