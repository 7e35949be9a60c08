"""The part of report.html on task processors."""

from __future__ import annotations

from profiler.model.profile import Profile
from profiler.model.task_profile import TaskQueue
from profiler.renderers.page.anchors import task_anchor
from profiler.renderers.page.links import queue_links
from profiler.renderers.page.markup import element
from profiler.renderers.page.sections import Section, section
from profiler.renderers.page.tables import Column, Row, lines, table
from profiler.renderers.words import numbers, tasks
from profiler.renderers.words.labels import LABEL_MAX, clip

_FUNCTIONS_MAX = 5
_COLUMNS = (
    Column("Task processor"),
    Column("Tasks a second"),
    Column("Busy"),
    Column("Longest queue"),
    Column("Typical wait"),
    Column("99 %"),
    Column("Longest wait"),
    Column("Typical run"),
    Column("99 %"),
    Column("Longest run"),
)


def task_processors(profile: Profile) -> Section | None:
    """Return the table of task processors; None if nobody looked for tasks."""
    known = profile.tasks
    if known is None:
        return None
    explanation = (
        "A task waits from its push until it begins, and runs from then to its end. Names that "
        "differ in numbers only are one row, with N for the numbers. Busy: for how much of the "
        "time one executed a task. Below: what the tasks call, the longest first."
    )
    rows = [_queue(profile, queue) for queue in known.queues]
    more = f"{known.left_out:,} more are in the recording." if known.left_out else ""
    said = " ".join(filter(None, (tasks.without_tasks(known), tasks.summary(known), more)))
    return section(
        "Task processors",
        element("p", explanation, kind="faint"),
        table(_COLUMNS, rows) if rows else "",
        *(element("p", f"Run by {line}") for line in tasks.threads(known)),
        element("p", said),
    )


def _queue(profile: Profile, queue: TaskQueue) -> Row:
    times = queue.times
    functions = map(tasks.function_label, queue.functions[:_FUNCTIONS_MAX])
    return Row(
        task_anchor(queue.name),
        (
            lines(clip(queue.label, LABEL_MAX), *functions),
            lines(numbers.short(queue.tasks_per_s)),
            lines(numbers.percent_cell(queue.busy / queue.count)),
            lines(numbers.column(queue.lengths.max)),
            lines(numbers.duration(times.wait_ns.p50)),
            lines(numbers.duration(times.wait_ns.p99)),
            lines(numbers.duration(times.longest_wait_ns)),
            lines(numbers.duration(times.run_ns.p50)),
            lines(numbers.duration(times.run_ns.p99)),
            lines(numbers.duration(times.run_ns.max)),
        ),
        queue_links(profile, queue),
    )
