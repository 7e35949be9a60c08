"""Names kernel addresses by /proc/kallsyms (Linux Documentation/filesystems/proc.rst)."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path

KALLSYMS = Path("/proc/kallsyms")
MAX_BYTES = 256 << 20  # Linux 6.18 of Debian has 15 MB
# kallsyms gives no sizes; what lies further behind a symbol than this belongs to no function.
MAX_FUNCTION_BYTES = 1 << 16
_TEXT_SYMBOL = re.compile(rb"^([0-9a-f]{8,16}) [tTwW] ([!-~]+)", re.MULTILINE)


class Kallsyms:
    """The kernel's functions, sorted by address."""

    def __init__(self, starts: Sequence[int], names: Sequence[bytes]) -> None:
        self._starts = array("Q", starts)
        self._names = tuple(names)

    def __len__(self) -> int:
        return len(self._starts)

    def lookup(self, address: int) -> str | None:
        """Return the name of the function that holds a kernel address, None when none does."""
        index = bisect_right(self._starts, address) - 1
        if index < 0 or address - self._starts[index] >= MAX_FUNCTION_BYTES:
            return None
        return self._names[index].decode("ascii")


def parse_kallsyms(text: bytes) -> Kallsyms | None:
    """Return the functions that the text lists; None when the kernel hides their addresses.

    With kptr_restrict, or without CAP_SYSLOG, every address reads as zero.
    """
    names: dict[int, bytes] = {}
    for match in _TEXT_SYMBOL.finditer(text):
        address, name = int(match[1], 16), match[2]
        if address and (address not in names or _rank(name) < _rank(names[address])):
            names[address] = name
    if not names:
        return None
    starts = sorted(names)
    return Kallsyms(starts, [names[start] for start in starts])


def read_kallsyms(path: Path = KALLSYMS) -> Kallsyms | None:
    """Return the running kernel's functions, None when it does not show them."""
    try:
        with path.open("rb") as file:
            return parse_kallsyms(file.read(MAX_BYTES))
    except OSError:
        return None


def _rank(name: bytes) -> tuple[int, int, bytes]:
    return len(name) - len(name.lstrip(b"_")), len(name), name
