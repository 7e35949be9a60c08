"""What a running recording holds."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from profiler.model.observed import WithoutTable
from profiler.names.session import NamingSession
from profiler.process.children import ChildProcesses
from profiler.process.descriptors import OpenDescriptors
from profiler.process.events import ProcessEvents
from profiler.process.mapping_events import MappingEvents
from profiler.process.sockets.udp_sockets import UdpSockets
from profiler.process.target import TargetProcess
from profiler.process.threads.thread_uses import ThreadUses
from profiler.record.collection.followed import FollowedRun
from profiler.record.preparation.sampling import SamplingSetup
from profiler.sampling.sampler import CpuSampler
from profiler.sampling.sampling_budget import SampleBudget
from profiler.sampling.thread_starts import ThreadStarts
from profiler.windows.budget import Governor

if TYPE_CHECKING:
    from profiler.counting.lookups import LookupMeasurement
    from profiler.links.measurement import LinkMeasurement
    from profiler.offcpu.measurement import OffCpuMeasurement
    from profiler.record.preparation.lookups import LookupSetup
    from profiler.tasks.measurement import TaskMeasurement


@dataclass(slots=True)
class Run:
    """What a running recording holds."""

    setup: SamplingSetup
    sampler: CpuSampler
    events: ProcessEvents
    mappings: MappingEvents
    uses: ThreadUses
    starts: ThreadStarts
    sockets: UdpSockets
    children: ChildProcesses
    descriptors: OpenDescriptors
    process: TargetProcess
    names: NamingSession
    without_table: WithoutTable
    governor: Governor
    sampling: SampleBudget
    started_at: str = field(
        default_factory=lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    )
    lookup_setup: LookupSetup | None = None
    lookups: LookupMeasurement | None = None  # None until its programs are loaded
    off_cpu: OffCpuMeasurement | None = None  # the same
    tasks: TaskMeasurement | None = None  # None: nothing can be seen of tasks
    links: LinkMeasurement | None = None  # None: nothing can be seen of links
    start_ns: int = 0
    until_ns: int = 0  # when it is over, unless something else ends it
    end_ns: int = 0
    exited: bool = False
    code_due_ns: int = 0  # when to read what is mapped
    least_code_due_ns: int = 0  # and not sooner, however often it changes
    stopped_by: str = "duration"
    warnings: list[str] = field(default_factory=list)
    followed: FollowedRun = field(default_factory=FollowedRun)
