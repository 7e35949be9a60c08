"""Task processors with made-up, plausible numbers, as recorded and as shown."""

from __future__ import annotations

from dataclasses import replace

from profiler.model import recording as r
from profiler.model.task_profile import TaskProfile
from profiler.model.tasks import QueueLook, TaskGroup, TaskProcessor, Tasks, TaskThread
from profiler.report.task_uses import task_uses
from profiler.report.threads.thread_roles import Role
from tests.hostile_names import HOSTILE_NAME, LONG_NAME

LOOKS = tuple(QueueLook(second * 1_000_000_000, 3, 3, 12, 9) for second in range(3))
US, MS, S = 1_000, 1_000_000, 1_000_000_000
NAMES = ("dispatch_message", "distribute", "distributor", "stasis_publish", "slow_lookup")
DISPATCH, DISTRIBUTE, DISTRIBUTOR, PUBLISH, SLOW = range(len(NAMES))


def spread(*values: int) -> r.Distribution:
    """Return the distribution of these values, each in a slot of its own."""
    slots = tuple((value, value + 1, values.count(value)) for value in sorted(set(values)))
    return r.Distribution(len(values), sum(values), max(values, default=None), slots)


def processor(name: str, *pushed_lengths: int, looks: tuple[int, ...] = ()) -> TaskProcessor:
    """Return one whose queue had these lengths before pushes, and at looks that found tasks."""
    counts = tuple((length, looks.count(length)) for length in sorted(set(looks)))
    return TaskProcessor(name, spread(*pushed_lengths), len(looks), counts)


def group(
    processor: int,
    waits: tuple[int, ...],
    runs: tuple[int, ...],
    function: int | None = DISPATCH,
    site: int | None = PUBLISH,
    **changes: int,
) -> TaskGroup:
    """Return tasks that all were pushed, waited and ran in windows."""
    made = TaskGroup(
        processor=processor,
        function=function,
        push_site=site,
        pushed=len(waits),
        begun=len(waits),
        wait_ns=spread(*waits),
        run_ns=spread(*runs),
        waiting=0,
        running=0,
        longest_waiting_ns=0,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def tasks(
    processors: tuple[TaskProcessor, ...], groups: tuple[TaskGroup, ...], **changes: object
) -> Tasks:
    """Return what windows of 5 s within 10 s saw."""
    seen = sum(max(one.pushed, one.begun) for one in groups)
    made = Tasks(
        windows=(r.Window(0, 5 * S),),
        covered_ns=5 * S,
        covered_ratio=0.5,
        processors=processors,
        processor_count=len(processors),
        groups=groups,
        threads=(),
        looks=(),
        accounting=r.Accounting(seen, seen),
        cost_ns=MS,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def shown(known: Tasks, names: tuple[str, ...] = NAMES) -> TaskProfile:
    """Return the same as the profile has it; threads 7 and 8 run a pool."""
    roles = {tid: Role("worker_start", is_named=True) for tid in (7, 8)}
    return task_uses(known, names, roles, {})


def healthy() -> Tasks:
    """A busy PBX: thousands of tasks, none waits for long."""
    return tasks(
        (
            processor("pjsip/distributor-0000001a", 0, 0, 1, looks=(2,)),
            processor("pjsip/distributor-0000001b", 0, 3),
            processor("stasis/m:cache_pattern:1/channel:all-00000042", 0, 12, looks=(1,)),
        ),
        (
            group(0, (40 * US,) * 900, (700 * US,) * 900, DISTRIBUTE, DISTRIBUTOR),
            group(1, (55 * US,) * 800 + (9 * MS,), (650 * US,) * 800 + (3 * MS,), DISTRIBUTE),
            group(2, (20 * US,) * 4_000 + (31 * MS,), (15 * US,) * 4_000 + (2 * MS,)),
        ),
        threads=(TaskThread(7, 900, S), TaskThread(8, 801, S // 2)),
        looks=(QueueLook(S, 3, 3, 1, 1), QueueLook(2 * S, 3, 3, 2, 2)),
        processor_count=87,
    )


def held_up() -> Tasks:
    """One function takes 2 s; what is pushed behind it waits, beyond the high water mark."""
    return tasks(
        (processor("pjsip/distributor-0000001a", *range(0, 620, 10), looks=(512,)),),
        (
            group(0, (10 * MS,) * 90 + (1_900 * MS,) * 40, (MS,) * 130, DISTRIBUTE, DISTRIBUTOR),
            group(0, (3 * MS,), (2 * S,), SLOW, DISTRIBUTOR),
        ),
    )


def overrun() -> Tasks:
    """Tasks of 3 ms come faster than one task processor can execute them."""
    waits = tuple(range(10 * MS, 2_410 * MS, 3 * MS))
    return tasks(
        (processor("stasis/p:channel:all-00000042", *range(400), looks=(180, 420)),),
        (group(0, waits, (3 * MS,) * 800, waiting=420, longest_waiting_ns=2_420 * MS),),
    )


def stuck() -> Tasks:
    """Tasks wait and none is executed."""
    return tasks((processor("pjsip/distributor-0000001a", looks=(7, 9, 12)),), (), looks=LOOKS)


def hostile() -> TaskProfile:
    """Every name is bad."""
    bad = replace(held_up(), processors=(processor(HOSTILE_NAME, 600),))
    return shown(bad, (HOSTILE_NAME, LONG_NAME) * 3)
