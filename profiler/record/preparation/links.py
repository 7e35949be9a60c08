"""Gets everything ready to see who links into containers that grow."""

from __future__ import annotations

from contextlib import ExitStack

from profiler.binary.instructions import RBP, RDI
from profiler.binary.probe_sites import choose_site
from profiler.errors import ProfilerError
from profiler.links.measurement import LinkMeasurement
from profiler.probes.attach import AttachPoint
from profiler.probes.planner import PlannedProbe, path_of
from profiler.probes.push_sites import report_push_sites
from profiler.record.preparation.run import Run

_FUNCTION = "__ao2_link"


def begin_links(stack: ExitStack, run: Run) -> None:
    """Load what counts links, or warn why not; the stack undoes it. Lookups are prepared before."""
    if run.lookup_setup is None:
        return
    planner, calibration = run.lookup_setup.planner, run.lookup_setup.calibration
    try:
        loaded = planner.executable()
        image = planner.image(loaded)
        address = image.exported(_FUNCTION)
        if address is None:
            return
        site = choose_site(image, address, _FUNCTION, (RDI, RBP))
        path = path_of(loaded)
        run.links = LinkMeasurement(
            stack,
            run.setup.module,
            site,
            path,
            run.process,
            run.governor,
            calibration,
            run.followed.sizes,
        )
    except ProfilerError as error:
        run.warnings.append(f"who links into containers is not seen: {error.message}")
    except OSError as error:
        run.warnings.append(f"who links into containers is not seen: {error.strerror}")
    else:
        point = AttachPoint(path, site.file_offset, site.vaddr + (loaded.bias or 0), 0, False)
        report_push_sites(run.setup.module, (PlannedProbe(site, point, frozenset()),))
