"""Tasks of the lab's module, recorded while they are pushed, and what the module counted."""

from __future__ import annotations

import time
from contextlib import ExitStack
from threading import Thread
from typing import Any

from lab.instance import Instance
from profiler.asterisk.find import find_asterisk
from profiler.model.recording import Recording
from profiler.model.tasks import TaskGroup, Tasks
from profiler.record import recorder
from profiler.record.preparation.run import Run
from profiler.record.preparation.sampling import Options
from profiler.record.progress import Progress, Stop
from profiler.sampling.sampling_programs import compile_sampling

LONGEST_S = 60
SECOND_NS = 1_000_000_000


def recorded(asterisk: Instance, name: str, words: str) -> tuple[Recording, dict[str, Any]]:
    """Record without a budget while the module's tasks are pushed, once a window is open."""
    target = find_asterisk(asterisk.pid)
    options = Options(duration_ns=LONGEST_S * SECOND_NS, budget_ratio=None)
    stop = Stop()
    truth: list[dict[str, Any]] = []
    with ExitStack() as stack:
        compilation = compile_sampling(options.kernel_frames)
        stack.callback(compilation.close)
        run = recorder.begin(stack, target, options, compilation)
        recorder.begin_lookups(stack, run, target, options)
        recorder.begin_tasks(stack, run)
        assert run.tasks is not None, run.warnings
        load = Thread(target=_push, args=(run, asterisk, f"{name} {words}", truth, stop))
        load.start()
        recorder.run_until_end(run, stop, _ignore)
        load.join()
        recording = recorder.finish(run, target, options)
    asterisk.groundtruth(f"tasks stop {name}", 60)
    return recording, truth[0]


def _push(
    run: Run, asterisk: Instance, words: str, truth: list[dict[str, Any]], stop: Stop
) -> None:
    assert run.tasks is not None
    deadline = time.monotonic() + LONGEST_S
    try:
        while not run.tasks.is_open and time.monotonic() < deadline:
            time.sleep(0.01)
        asterisk.groundtruth(f"tasks start {words}")
        while time.monotonic() < deadline:
            truth.append(asterisk.groundtruth(f"tasks result {words.split()[0]}"))
            if truth[-1]["state"] == "done":
                break
            truth.clear()
            time.sleep(0.05)
    finally:
        stop.reason = "done"


def _ignore(_: Progress) -> None:
    return None


def tasks_of(recording: Recording) -> Tasks:
    assert recording.tasks is not None
    assert recording.tasks.accounting.balanced()
    assert recording.tasks.accounting.missed == 0
    return recording.tasks


def groups_of(tasks: Tasks, name: str) -> list[TaskGroup]:
    return [
        group
        for group in tasks.groups
        if tasks.processors[group.processor].name.startswith(f"groundtruth/{name}")
    ]
