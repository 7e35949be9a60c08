"""The machine's CPUs."""

from __future__ import annotations

from pathlib import Path

_ONLINE = Path("/sys/devices/system/cpu/online")
_POSSIBLE = Path("/sys/devices/system/cpu/possible")


def online_cpus() -> list[int]:
    """Return the numbers of the CPUs that are online now."""
    return parse_cpus(_ONLINE.read_text())


def possible_cpus() -> int:
    """Return how many CPUs a per-CPU map has values for."""
    return max(parse_cpus(_POSSIBLE.read_text())) + 1


def parse_cpus(text: str) -> list[int]:
    """Return the numbers in a list of the kernel's, such as `0-3,8`; ValueError if it is none."""
    cpus: list[int] = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        cpus += range(int(first), int(last or first) + 1)
    return cpus
