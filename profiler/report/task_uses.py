"""Task processors of a recording by name, function and thread. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

from profiler.model.folded_names import folded
from profiler.model.task_profile import (
    QueueLengths,
    TaskFunction,
    TaskProfile,
    TaskQueue,
    TaskThreads,
    TaskTimes,
)
from profiler.model.tasks import TaskGroup, TaskProcessor, Tasks
from profiler.report.basics.distributions import add, quantile, quantiles
from profiler.report.threads.thread_roles import Role

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")

_QUEUES_MAX = 1_000  # names that only differ in words: each endpoint may have its own
_LEAST_LOOKS = 3  # that found tasks: with fewer, chance explains that a queue was never empty
_POOL_START = "worker_start"  # what threads of a pool begin in: threadpool.c of Asterisk
_NO_NAME = "task processor without a name"
_UNKNOWN = "not known"


def task_uses(
    tasks: Tasks, names: Sequence[str], roles: Mapping[int, Role], threads: Mapping[int, str]
) -> TaskProfile:
    """Return what task processors had to do.

    `names` are those of the recording's frames, `threads` those of threads by tid.
    """
    queues = _queues(tasks, names)
    return TaskProfile(
        covered_ratio=tasks.covered_ratio,
        covered_ns=tasks.covered_ns,
        processor_count=tasks.processor_count,
        queues=queues[:_QUEUES_MAX],
        left_out=sum(queue.count for queue in queues[_QUEUES_MAX:]),
        threads=_threads(tasks, roles, threads),
        queued_max=max((look.queued for look in tasks.looks), default=None),
        accounting=tasks.accounting,
        cost_ns=tasks.cost_ns,
    )


def _queues(tasks: Tasks, names: Sequence[str]) -> tuple[TaskQueue, ...]:
    alike: dict[str, list[int]] = defaultdict(list)
    for index, processor in enumerate(tasks.processors):
        alike[folded(processor.name) or _NO_NAME].append(index)
    by_processor = _by(tasks.groups, lambda group: group.processor)
    queues = [
        _queue(
            tasks,
            names,
            name if len(indices) > 1 else tasks.processors[indices[0]].name or name,
            [tasks.processors[index] for index in indices],
            [group for index in indices for group in by_processor.get(index, ())],
        )
        for name, indices in alike.items()
    ]
    return tuple(sorted(queues, key=lambda queue: (-queue.times.total_ns, queue.name)))


def _queue(
    tasks: Tasks,
    names: Sequence[str],
    name: str,
    processors: Sequence[TaskProcessor],
    groups: Sequence[TaskGroup],
) -> TaskQueue:
    times = _times(groups)
    held = _held(groups)
    functions = [
        _function(names, function, same, held.get(function, 0))
        for function, same in _by(groups, lambda group: group.function).items()
    ]
    functions.sort(key=lambda one: (-one.times.run_ns.total, -one.times.running, one.name))
    return TaskQueue(
        name=name,
        count=len(processors),
        tasks_per_s=max(times.pushed, times.begun) * 1e9 / max(tasks.covered_ns, 1),
        busy=min(times.run_ns.total / max(tasks.covered_ns, 1), len(processors)),
        times=times,
        lengths=_lengths(processors, len(tasks.looks)),
        functions=tuple(functions),
    )


def _held(groups: Sequence[TaskGroup]) -> dict[int | None, int]:
    """Return, by function, for how long its tasks may have held up others.

    That is as long as one of them ran, and as long as one waited in the same task processor. One
    that runs for long need not have ended: then it ran as long as others waited.
    """
    held: dict[int | None, int] = {}
    for same in _by(groups, lambda group: group.processor).values():
        oldest_ns = max(group.longest_waiting_ns for group in same)
        longest_ns = max(oldest_ns, *(group.wait_ns.max or 0 for group in same))
        for function, mine in _by(same, lambda group: group.function).items():
            ran_ns = max(group.run_ns.max or 0 for group in mine)
            if not any(group.run_ns.count for group in mine):
                ran_ns = oldest_ns if any(group.running for group in mine) else 0
            held[function] = max(held.get(function, 0), min(ran_ns, longest_ns))
    return held


def _function(
    names: Sequence[str], function: int | None, groups: Sequence[TaskGroup], held_ns: int
) -> TaskFunction:
    pushed: Counter[str] = Counter()
    for group in groups:
        if group.push_site is not None:
            pushed[names[group.push_site]] += group.pushed
    return TaskFunction(
        _UNKNOWN if function is None else names[function],
        max(pushed, key=lambda name: (pushed[name], name), default=None),
        held_ns,
        _times(groups),
    )


def _times(groups: Sequence[TaskGroup]) -> TaskTimes:
    return TaskTimes(
        pushed=sum(group.pushed for group in groups),
        begun=sum(group.begun for group in groups),
        wait_ns=quantiles(add(group.wait_ns for group in groups)),
        run_ns=quantiles(add(group.run_ns for group in groups)),
        waiting=sum(group.waiting for group in groups),
        running=sum(group.running for group in groups),
        longest_waiting_ns=max((group.longest_waiting_ns for group in groups), default=0),
    )


def _lengths(processors: Sequence[TaskProcessor], looks: int) -> QueueLengths:
    """Return the longest queue: a task that is pushed makes it one more than it was before."""
    pushed = add(one.pushed_lengths for one in processors)
    found = [length for one in processors for length, _ in one.queue_lengths]
    never_empty = [
        min(length for length, _ in one.queue_lengths)
        for one in processors
        if one.queue_lengths and one.looks == looks >= _LEAST_LOOKS
    ]
    return QueueLengths(
        max=max([*found, *([] if pushed.max is None else [pushed.max + 1])], default=None),
        p99=quantile(pushed, 0.99),
        least=max(never_empty, default=None),
    )


def _threads(
    tasks: Tasks, roles: Mapping[int, Role], names: Mapping[int, str]
) -> tuple[TaskThreads, ...]:
    titles = {
        thread.tid: roles[thread.tid].name
        if thread.tid in roles
        else names.get(thread.tid, _UNKNOWN)
        for thread in tasks.threads
    }
    threads = [
        TaskThreads(
            title=title,
            count=len(alike),
            tasks=sum(thread.tasks for thread in alike),
            busy=min(sum(thread.run_ns for thread in alike) / max(tasks.covered_ns, 1), len(alike)),
            is_pool=title.lstrip("~").startswith(_POOL_START),
        )
        for title, alike in _by(tasks.threads, lambda thread: titles[thread.tid]).items()
    ]
    return tuple(sorted(threads, key=lambda one: (-one.busy, one.title)))


def _by(values: Iterable[_Value], key: Callable[[_Value], _Key]) -> dict[_Key, list[_Value]]:
    found: dict[_Key, list[_Value]] = defaultdict(list)
    for value in values:
        found[key(value)].append(value)
    return found
