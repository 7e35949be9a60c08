"""The difference of two profiles for programs, as docs/difference.schema.json says."""

from __future__ import annotations

import json
from typing import TextIO

from profiler.files.serializer import encode
from profiler.model.difference import Difference


def render(difference: Difference, out: TextIO) -> None:
    """Write the difference as one JSON object."""
    json.dump(encode(difference), out, indent=1, allow_nan=False)
    out.write("\n")
