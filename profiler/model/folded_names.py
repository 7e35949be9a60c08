"""Names of the target's objects with N for what only tells one from the next. Pure."""

from __future__ import annotations

import re

# A UUID, the sequence number that ast_taskprocessor_build_name() ends names with, of channels too
# (main/taskprocessor.c, main/channel.c), and any other number.
_NUMBERS = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?<=-)[0-9a-f]{8}(?![0-9a-zA-Z])|[0-9]+"
)


def folded(name: str) -> str:
    """Return the name with N for each number: "pjsip/registrar-0000002a" is "pjsip/registrar-N"."""
    return _NUMBERS.sub("N", name)
