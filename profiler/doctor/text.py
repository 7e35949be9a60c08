"""Writes the doctor's checks as text, in 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TextIO

from profiler.doctor.checks import FAILED, WARNING, Check

_COLUMNS = 80
_NAME_COLUMNS = 17


def render(found: Sequence[Check], out: TextIO) -> None:
    """Write one line for each check, its hint below it, in 80 columns."""
    indent = " " * (9 + _NAME_COLUMNS)
    for check in found:
        head = f"{check.state:9}{check.name:{_NAME_COLUMNS}}"
        out.write(_wrap(head + check.detail, indent))
        if check.hint:
            out.write(_wrap(f"{indent}-> {check.hint}", indent + "   "))
    failed = sum(check.state == FAILED for check in found)
    warned = sum(check.state == WARNING for check in found)
    out.write(f"{len(found)} checks: {failed} failed, {warned} with a warning\n")


def _wrap(text: str, indent: str) -> str:
    return (
        textwrap.fill(
            text,
            _COLUMNS,
            subsequent_indent=indent,
            replace_whitespace=False,
            break_long_words=False,
            break_on_hyphens=False,
        )
        + "\n"
    )
