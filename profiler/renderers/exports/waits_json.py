"""Who waits for whom, for programs: the picture field by field, as docs/waits.schema.json says.

One picture is one line, so that several, one after another, are read as they come.
"""

from __future__ import annotations

import json
from typing import TextIO

from profiler.files.serializer import encode
from profiler.model.wait_picture import WaitPicture


def render(picture: WaitPicture, out: TextIO) -> None:
    """Write the picture as one JSON object on one line."""
    # As one text: json.dump() writes each number by itself, which takes three times as long.
    out.write(json.dumps(encode(picture), allow_nan=False) + "\n")
