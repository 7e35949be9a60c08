"""profile.json: the profile for programs, as docs/profile.schema.json says.

Field by field the `Profile`, with differences that readers of JSON find handier: `accounting` holds
both measurements, causes are objects keyed by cause, the window has its duration, containers have
their labels, what nobody looked for is null, and raw samples and call stacks are left to cpu.folded
and profile.speedscope.json.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TextIO

from profiler.files.serializer import Json, encode
from profiler.model.completeness import Completeness, lookup_completeness, sample_completeness
from profiler.model.links import LinkProfile
from profiler.model.off_cpu_profile import OffCpuProfile
from profiler.model.profile import Profile, StackQuality
from profiler.model.recording import Accounting
from profiler.model.task_profile import TaskProfile
from profiler.renderers.words.nothing import without_findings

_ELSEWHERE = ("samples", "stacks", "lookup_stacks")  # large, and in other files in better form
_RENAMED = ("sample_accounting", "lookup_accounting", "stack_quality", "lookup_stack_quality")


def render(profile: Profile, out: TextIO) -> None:
    """Write the profile as one JSON object."""
    json.dump(document(profile), out, indent=1, allow_nan=False)
    out.write("\n")


def document(profile: Profile) -> dict[str, Json]:
    """Return the object that is written."""
    fields = encode(replace(profile, samples=(), stacks=(), lookup_stacks=(), off_cpu=None))
    assert isinstance(fields, dict)
    for name in (*_ELSEWHERE, *_RENAMED):
        del fields[name]
    window = fields["window"]
    assert isinstance(window, dict)
    window["duration_s"] = profile.window.duration_s
    fields["accounting"] = {
        "samples": _accounting(profile.sample_accounting, sample_completeness(profile)),
        "lookups": _accounting(profile.lookup_accounting, lookup_completeness(profile)),
    }
    for name, counted in (("tasks", profile.tasks), ("links", profile.links)):
        if counted is not None:
            fields[name] = _counted(counted)
    fields["stacks"] = _quality(profile.stack_quality)
    fields["lookup_stacks"] = _quality(profile.lookup_stack_quality)
    containers = fields["containers"]
    assert isinstance(containers, list)
    for written, container in zip(containers, profile.containers, strict=True):
        assert isinstance(written, dict)
        written["label"] = container.label
    fields["off_cpu"] = None if profile.off_cpu is None else _off_cpu(profile.off_cpu)
    nothing = without_findings(profile)
    fields["without_findings"] = nothing[0] if nothing else None
    return fields if profile.lookups_not_measured is None else _without_lookups(fields)


def _without_lookups(fields: dict[str, Json]) -> dict[str, Json]:
    """Put null in the place of what would be 0 although nobody looked."""
    accounting, cost = fields["accounting"], fields["cost"]
    assert isinstance(accounting, dict)
    assert isinstance(cost, dict)
    return fields | {
        "accounting": accounting | {"lookups": None},
        "cost": cost | {"open_ratio": None},
        "lookup_stacks": None,
    }


def _off_cpu(waits: OffCpuProfile) -> Json:
    """Return waits without the indices of their stacks, which are in offcpu.folded."""
    fields = encode(waits)
    assert isinstance(fields, dict)
    stacks = fields["stacks"]
    assert isinstance(stacks, list)
    for stack in stacks:
        assert isinstance(stack, dict)
        del stack["stack"]
    accounting = waits.accounting
    fields["accounting"] = _accounting(
        accounting, Completeness(accounting.seen, accounting.missed, accounting.truncated)
    )
    return fields


def _accounting(accounting: Accounting, known: Completeness) -> Json:
    fields = encode(accounting)
    assert isinstance(fields, dict)
    return fields | {"seen": known.seen, "missed": known.lost}


def _counted(counted: TaskProfile | LinkProfile) -> Json:
    fields, accounting = encode(counted), encode(counted.accounting)
    assert isinstance(fields, dict)
    assert isinstance(accounting, dict)
    sums = {"seen": counted.accounting.seen, "missed": counted.accounting.missed}
    return fields | {"accounting": accounting | sums}


def _quality(quality: StackQuality) -> Json:
    return {
        "samples": quality.samples,
        "whole": quality.whole,
        "by_cause": dict(quality.by_cause),
        "left_out": quality.left_out,
    }
