"""profile.json: the profile for programs, as docs/profile.schema.json says.

Field by field the `Profile`, with four differences that readers of JSON find handier: `accounting`
holds both measurements, causes are objects keyed by cause, the window has its duration, and raw
samples and call stacks are left to cpu.folded and profile.speedscope.json.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TextIO

from profiler.files.serializer import Json, encode
from profiler.model.profile import Profile, StackQuality

_ELSEWHERE = ("samples", "stacks", "lookup_stacks")  # large, and in other files in better form
_RENAMED = ("sample_accounting", "lookup_accounting", "stack_quality", "lookup_stack_quality")


def render(profile: Profile, out: TextIO) -> None:
    """Write the profile as one JSON object."""
    json.dump(document(profile), out, indent=1, allow_nan=False)
    out.write("\n")


def document(profile: Profile) -> dict[str, Json]:
    """Return the object that is written."""
    fields = encode(replace(profile, samples=(), stacks=(), lookup_stacks=()))
    assert isinstance(fields, dict)
    for name in (*_ELSEWHERE, *_RENAMED):
        del fields[name]
    window = fields["window"]
    assert isinstance(window, dict)
    window["duration_s"] = profile.window.duration_s
    fields["accounting"] = {
        "samples": encode(profile.sample_accounting),
        "lookups": encode(profile.lookup_accounting),
    }
    fields["stacks"] = _quality(profile.stack_quality)
    fields["lookup_stacks"] = _quality(profile.lookup_stack_quality)
    return fields


def _quality(quality: StackQuality) -> Json:
    return {
        "samples": quality.samples,
        "whole": quality.whole,
        "by_cause": dict(quality.by_cause),
        "left_out": quality.left_out,
    }
