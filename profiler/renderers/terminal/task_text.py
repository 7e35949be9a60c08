"""The part of the terminal report on task processors."""

from __future__ import annotations

from profiler.model.profile import Profile
from profiler.model.task_profile import TaskQueue
from profiler.renderers.words import numbers, tasks
from profiler.renderers.words.labels import LABEL_MAX, clip
from profiler.renderers.words.lines import Line, heading, table_rows, wrapped

_ROWS_MAX = 10
_FUNCTIONS_MAX = 3  # below a task processor
_THREADS_MAX = 5
_TITLES = ("task processor", "tasks/s", "queue", "wait p99", "max", "run p99", "max")


def lines(profile: Profile, width: int) -> list[Line]:
    """Return the section; none if nobody looked for tasks."""
    known = profile.tasks
    if known is None:
        return []
    explanation = "wait: from push to begin, run: from begin to end"
    made = heading("TASK PROCESSORS", explanation, width)
    made += wrapped("  ", tasks.without_tasks(known), "dim", width)
    shown, rest = known.queues[:_ROWS_MAX], known.queues[_ROWS_MAX:]
    if shown:
        titles, *cells = table_rows(_TITLES, [_row(queue) for queue in shown], width)
        made += titles
        for queue, row in zip(shown, cells, strict=True):
            made += row
            for function in queue.functions[:_FUNCTIONS_MAX]:
                made += wrapped("    ", tasks.function_label(function), "", width)
    left = sum(queue.count for queue in rest) + known.left_out
    if left:
        made += wrapped("  ", f"and {left:,} more", "dim", width)
    for said in tasks.threads(known)[:_THREADS_MAX]:
        made += wrapped("  ", f"run by {said}", "", width)
    return made + wrapped("  ", tasks.summary(known), "dim", width)


def _row(queue: TaskQueue) -> tuple[str, ...]:
    times = queue.times
    return (
        clip(queue.label, LABEL_MAX),
        numbers.short(queue.tasks_per_s),
        numbers.column(queue.lengths.max),
        numbers.duration(times.wait_ns.p99),
        numbers.duration(times.longest_wait_ns),
        numbers.duration(times.run_ns.p99),
        numbers.duration(times.run_ns.max),
    )
