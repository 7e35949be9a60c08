"""What may be wrong with the task processors in a recording that came from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

from profiler.model.quantities import Distribution
from profiler.model.tasks import Tasks


def task_references(tasks: Tasks, frame_count: int) -> Iterator[tuple[str, int, int]]:
    """Yield (field, index, length of what it points into) for every index."""
    for group in tasks.groups:
        yield "tasks.groups.processor", group.processor, len(tasks.processors)
        for frame in (group.function, group.push_site):
            if frame is not None:
                yield "tasks.groups frames", frame, frame_count


def task_distributions(tasks: Tasks) -> Iterator[tuple[str, Distribution]]:
    """Yield (field, distribution) for all that reports rely on."""
    for processor in tasks.processors:
        yield "tasks.processors.pushed_lengths", processor.pushed_lengths
    for group in tasks.groups:
        yield "tasks.groups.wait_ns", group.wait_ns
        yield "tasks.groups.run_ns", group.run_ns


def task_quantities(tasks: Tasks) -> Iterator[tuple[str, float]]:
    """Yield (field, value) for all that cannot be below zero."""
    yield "tasks.covered_ratio", tasks.covered_ratio
    for group in tasks.groups:
        for name in ("pushed", "begun", "waiting", "running", "longest_waiting_ns"):
            yield f"tasks.groups.{name}", getattr(group, name)
    for processor in tasks.processors:
        for length, looks in processor.queue_lengths:
            yield "tasks.processors.queue_lengths", min(length, looks)
    for look in tasks.looks:
        least = min(look.processors, look.looked_at, look.queued, look.longest)
        yield "tasks.looks", least
