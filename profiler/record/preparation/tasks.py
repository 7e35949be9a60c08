"""Gets everything ready to see what task processors do."""

from __future__ import annotations

from contextlib import ExitStack

from profiler.asterisk.task_code import find_task_code
from profiler.asterisk.task_processors import container_variable
from profiler.errors import ProfilerError
from profiler.probes.push_sites import report_push_sites
from profiler.record.preparation.run import Run
from profiler.tasks.measurement import TaskMeasurement


def prepare_tasks(stack: ExitStack, run: Run) -> tuple[TaskMeasurement | None, tuple[str, ...]]:
    """Return what measures tasks; else None, and the warning that says why. The stack ends it.

    Lookups are prepared before.
    """
    assert run.lookup_setup is not None
    planner, calibration = run.lookup_setup.planner, run.lookup_setup.calibration
    try:
        loaded = planner.executable()
        image = planner.image(loaded)
        found, code = container_variable(image), find_task_code(image)
        variable = None if found is None else found + (loaded.bias or 0)
        measurement = TaskMeasurement(
            stack, run.setup.module, loaded, code, variable, run.process, run.governor, calibration
        )
    except ProfilerError as error:
        return None, (f"tasks of task processors are not seen: {error.message}",)
    except OSError as error:
        return None, (f"tasks of task processors are not seen: {error.strerror}",)
    report_push_sites(run.setup.module, measurement.probes)
    return measurement, ()
