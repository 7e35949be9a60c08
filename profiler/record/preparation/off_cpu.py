"""Gets everything ready to see when threads do not run, while samples are being taken."""

from __future__ import annotations

from contextlib import ExitStack

from profiler.offcpu.measurement import OffCpuMeasurement
from profiler.process.target import TargetProcess
from profiler.record.preparation.sampling import SamplingSetup
from profiler.windows.budget import Governor


def prepare_off_cpu(
    stack: ExitStack, setup: SamplingSetup, target: TargetProcess, governor: Governor
) -> tuple[OffCpuMeasurement | None, tuple[str, ...]]:
    """Return what measures waits; else None, and the warning that says why.

    The stack ends it. What it needs is in the kernel's BTF data: without that there is none.
    """
    reason = "the kernel has no BTF (CONFIG_DEBUG_INFO_BTF), or no iterators of threads"
    if setup.present is not None:
        try:
            measurement = OffCpuMeasurement(
                setup.module, setup.present, target, setup.library, governor
            )
        except OSError as error:
            reason = error.strerror or str(error)
        else:
            stack.callback(measurement.abort)
            return measurement, ()
    return None, (f"waits of threads are not recorded: {reason}",)
