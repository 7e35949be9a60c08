"""profile.speedscope.json: for https://www.speedscope.app and for its offline package.

One profile of all threads, one for each sampled thread or thread group, one for the comparisons in
lookups, then two for the time in which threads did not run: what may be trouble, and idle waiting.
Samples are in time order. Where nothing ran on a CPU there is a sample without frames, which
speedscope shows as a gap.
The importer takes every index on trust, drops weight 0 and fails on an empty list of profiles.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TextIO, cast

from profiler.files.serializer import Json
from profiler.model.profile import Profile
from profiler.model.recording import Sample
from profiler.renderers.graphs.lanes import comparison_lanes, shown_stacks
from profiler.renderers.graphs.wait_graph import wait_kind, wait_lanes
from profiler.renderers.words.labels import KEPT_MAX, LABEL_MAX, clip, target_label
from profiler.renderers.words.thread_groups import lane_namer

_SCHEMA = "https://www.speedscope.app/file-format-schema.json"

Frames = dict[tuple[str, bool], int]  # name and whether it is the kernel's: index


def render(profile: Profile, out: TextIO) -> None:
    """Write the profile as one JSON object."""
    # dumps, since dump does not use the encoder that is written in C.
    out.write(
        json.dumps(document(profile), allow_nan=False, check_circular=False, separators=(",", ":"))
    )
    out.write("\n")


def document(profile: Profile) -> Mapping[str, Json]:
    """Return the object that is written."""
    frames: Frames = {}
    profiles = [
        *_threads(profile, frames),
        *_comparisons(profile, frames),
        *_waits(profile, frames),
    ]
    if not profiles:
        profiles = [_sampled("no sample was taken", "none", [], [])]
    return {
        "$schema": _SCHEMA,
        "exporter": f"ebpf-prof@{profile.tool_version}",
        "name": target_label(profile),
        "activeProfileIndex": 0,
        "shared": {"frames": [_frame(*frame) for frame in frames]},
        "profiles": profiles,
    }


def _threads(profile: Profile, frames: Frames) -> list[Json]:
    """Return one profile for all threads, then one for each of them, the most sampled first."""
    stacks = [_indices(stack, frames) for stack in shown_stacks(profile)]
    lane_of = lane_namer(profile)
    everything = []
    by_lane = defaultdict(list)
    for sample in sorted(profile.samples, key=lambda sample: sample.time_ns):
        lane = lane_of(sample.tid)
        by_lane[lane].append((sample, stacks[sample.stack]))
        (root,) = _indices([(lane, "lane")], frames)
        everything.append((sample, [root, *stacks[sample.stack]]))
    ranked = sorted(by_lane.items(), key=lambda item: (-len(item[1]), item[0]))
    shown = [("all threads", everything), *ranked] if everything else []
    return [_sampled(label, "nanoseconds", *_timed(profile, samples)) for label, samples in shown]


def _timed(
    profile: Profile, samples: Iterable[tuple[Sample, list[int]]]
) -> tuple[list[list[int]], list[int]]:
    """Return stacks and their weights in ns, with a stack of no frames where none of them ran.

    Each sample weighs its interval, the one that ended with it. Of threads that run at once the
    intervals follow each other. So the sum is the CPU time and the time in which none ran. What a
    timer is late adds up to one interval before it is a gap.
    """
    interval_ns = round(1e9 / profile.frequency_hz)
    made: list[tuple[list[int], int]] = []
    ends: dict[int, int] = {}  # until when each thread ran
    until_ns, idle_ns = profile.window.start_ns, 0
    for sample, stack in samples:
        start_ns = max(sample.time_ns - interval_ns, min(ends.get(sample.tid, 0), sample.time_ns))
        ends[sample.tid] = start_ns + interval_ns
        idle_ns += max(start_ns - until_ns, 0)
        until_ns = max(until_ns, ends[sample.tid])
        if idle_ns >= interval_ns:
            made.append(([], idle_ns))
            idle_ns = 0
        made.append((stack, interval_ns))
    idle_ns += max(profile.window.end_ns - until_ns, 0)
    if idle_ns >= interval_ns:
        made.append(([], idle_ns))
    return _joined(made)


def _joined(samples: Iterable[tuple[list[int], int]]) -> tuple[list[list[int]], list[int]]:
    """Return stacks and weights; equal ones that follow each other are one."""
    stacks: list[list[int]] = []
    weights: list[int] = []
    for stack, weight in samples:
        if stacks and stacks[-1] == stack:
            weights[-1] += weight
        else:
            stacks.append(stack)
            weights.append(weight)
    return stacks, weights


def _comparisons(profile: Profile, frames: Frames) -> list[Json]:
    """Return the profile of comparisons under container and call stack, if any were counted."""
    samples, weights = [], []
    for lane in comparison_lanes(profile):
        for stack, weight in lane.stacks:
            samples.append(_indices(((lane.label, "lane"), *stack), frames))
            weights.append(weight)
    return [_sampled("comparisons in lookups", "none", samples, weights)] if samples else []


def _waits(profile: Profile, frames: Frames) -> list[Json]:
    """Return a profile of waits that may be trouble, and one of idle ones, if there were any."""
    made = []
    for name, is_idle in (("off-CPU", False), ("off-CPU: waits for work", True)):
        samples, weights = [], []
        for lane in wait_lanes(profile, is_idle=is_idle, last_frame=wait_kind):
            for stack, weight in lane.stacks:
                samples.append(_indices(((lane.label, "lane"), *stack), frames))
                weights.append(weight)
        if samples:
            made.append(_sampled(name, "microseconds", samples, weights))
    return made


def _indices(stack: Iterable[tuple[str, str]], frames: Frames) -> list[int]:
    """Return a stack as indices into the shared frames, which grow by those that are new."""
    return [frames.setdefault(_key(frame), len(frames)) for frame in stack]


@lru_cache(maxsize=KEPT_MAX)
def _key(frame: tuple[str, str]) -> tuple[str, bool]:
    label, kind = frame
    return clip(label, LABEL_MAX), kind in ("kernel", "probe")


def _frame(name: str, is_kernel: bool) -> Json:
    """Return a frame; speedscope shows the file beside the name."""
    return {"name": name, "file": "[kernel]"} if is_kernel else {"name": name}


def _sampled(name: str, unit: str, samples: list[list[int]], weights: list[int]) -> Json:
    return {
        "type": "sampled",
        "name": name,
        "unit": unit,
        "startValue": 0,
        "endValue": sum(weights),
        "samples": cast("list[Json]", samples),
        "weights": cast("list[Json]", weights),
    }
