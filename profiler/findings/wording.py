"""Numbers in the words of findings. Pure."""

from __future__ import annotations


def seconds(seconds: float) -> str:
    """Return a time: 52 s, 0.1 s."""
    return f"{seconds:,.0f} s" if seconds >= 10 else f"{seconds:.2g} s"


def percent(ratio: float) -> str:
    """Return per cent without decimals."""
    return f"{ratio * 100:.0f} %"
