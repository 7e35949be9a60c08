"""Names kernel addresses by /proc/kallsyms (Linux Documentation/filesystems/proc.rst)."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from pathlib import Path

KALLSYMS = Path("/proc/kallsyms")
MAX_BYTES = 256 << 20  # Linux 6.18 of Debian has 15 MB
# kallsyms gives no sizes; what lies further behind a symbol than this belongs to no function.
MAX_FUNCTION_BYTES = 1 << 16
# Addresses have 16 digits on x86-64, so that lines are in order of address when they are sorted.
_TEXT_SYMBOL = re.compile(rb"^[0-9a-f]{16} [tTwW] [!-~]+", re.MULTILINE)
_DIGITS, _NAME_AT = 16, 19
_BEHIND = b"~"  # sorts behind the space that follows an address
_HIDDEN = b"0" * _DIGITS


class Kallsyms:
    """The kernel's functions: one line of the text for each name, sorted by address."""

    def __init__(self, lines: Sequence[bytes]) -> None:
        self._lines = lines

    def lookup(self, address: int) -> str | None:
        """Return the name of the function that holds a kernel address, None when none does."""
        end = bisect_right(self._lines, b"%016x" % address + _BEHIND)
        if not end:
            return None
        digits = self._lines[end - 1][:_DIGITS]
        if address - int(digits, 16) >= MAX_FUNCTION_BYTES:
            return None
        aliases = self._lines[bisect_left(self._lines, digits) : end]
        return min((line[_NAME_AT:] for line in aliases), key=_rank).decode("ascii")


def parse_kallsyms(text: bytes) -> Kallsyms | None:
    """Return the functions that the text lists; None when the kernel hides their addresses.

    With kptr_restrict, or without CAP_SYSLOG, every address reads as zero. Nothing is made of a
    line before it is asked for: there are more than a hundred thousand.
    """
    lines = sorted(_TEXT_SYMBOL.findall(text))
    shown = lines[bisect_right(lines, _HIDDEN + _BEHIND) :]
    return Kallsyms(shown) if shown else None


def read_kallsyms(path: Path = KALLSYMS) -> Kallsyms | None:
    """Return the running kernel's functions, None when it does not show them."""
    try:
        with path.open("rb") as file:
            return parse_kallsyms(file.read(MAX_BYTES))
    except OSError:
        return None


def _rank(name: bytes) -> tuple[int, int, bytes]:
    return len(name) - len(name.lstrip(b"_")), len(name), name
