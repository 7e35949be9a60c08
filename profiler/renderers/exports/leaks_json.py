"""Who leaks, for programs: the profile field by field, as docs/leaks.schema.json says."""

from __future__ import annotations

import json
from typing import TextIO

from profiler.files.serializer import encode
from profiler.model.leaks import LeaksProfile


def render(profile: LeaksProfile, out: TextIO) -> None:
    """Write the profile as one JSON object on one line."""
    json.dump(encode(profile), out, allow_nan=False)
    out.write("\n")
