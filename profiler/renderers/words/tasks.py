"""Task processors in words, for the terminal and the page."""

from __future__ import annotations

from profiler.model.task_profile import TaskFunction, TaskProfile
from profiler.renderers.words import numbers
from profiler.renderers.words.labels import LABEL_MAX, clip


def summary(known: TaskProfile) -> str:
    """Return the sentence on how many task processors there are, and how well they were seen."""
    count = known.processor_count
    there = f"{numbers.counted(count, 'task processor')} in all. " if count is not None else ""
    share = numbers.percent(known.covered_ratio)
    waiting = ""
    if known.queued_max is not None:
        waiting = f" At most {numbers.counted(known.queued_max, 'task')} waited in all queues."
    lost = known.accounting.missed
    said = f"{there}Tasks were watched {share} of the time{', none lost' if not lost else ''}."
    return f"{said}{f' {lost:,} tasks were lost.' if lost else ''}{waiting}"


def without_tasks(known: TaskProfile) -> str:
    """Return the sentence for the place of the table; "" if there are some."""
    return "" if known.queues else "No task was seen."


def threads(known: TaskProfile) -> list[str]:
    """Return who runs tasks, the busiest first: a sentence for each kind of threads."""
    return [
        f"{clip(one.title, LABEL_MAX)}: {numbers.counted(one.count, 'thread')}, "
        f"{one.busy:.1f} busy on average, {numbers.counted(one.tasks, 'task')}"
        f"{' (a pool)' if one.is_pool else ''}"
        for one in known.threads
    ]


def function_label(function: TaskFunction) -> str:
    """Return what tasks of one function did, and who pushed them."""
    times = function.times
    runs = (
        f"ran {numbers.duration(times.run_ns.p50)} typically, "
        f"{numbers.duration(times.run_ns.max)} at most"
        if times.run_ns.max is not None
        else "did not end"
    )
    count = numbers.counted(max(times.begun, times.pushed), "task")
    by = f", pushed by {clip(function.pushed_by, LABEL_MAX)}" if function.pushed_by else ""
    return f"{clip(function.name, LABEL_MAX)}: {count}, {runs}{by}"
