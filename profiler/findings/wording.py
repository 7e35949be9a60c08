"""Numbers in the words of findings. Pure."""

from __future__ import annotations

from profiler.model.cpu_share import CpuShare
from profiler.model.profile import CallSiteUse, OperationUse, Profile


def seconds(seconds: float) -> str:
    """Return a time: 52 s, 0.1 s."""
    return f"{seconds:,.0f} s" if seconds >= 10 else f"{seconds:.2g} s"


def duration(nanoseconds: float) -> str:
    """Return a time that may be short: 2.1 s, 310 ms, 12 us."""
    if nanoseconds >= 1e9:
        return seconds(nanoseconds / 1e9)
    unit_ns, unit = (1e6, "ms") if nanoseconds >= 1e6 else (1e3, "us")
    value = nanoseconds / unit_ns
    return f"{value:.0f} {unit}" if value >= 10 else f"{value:.2g} {unit}"


def percent(ratio: float) -> str:
    """Return per cent without decimals."""
    return f"{ratio * 100:.0f} %"


def cpu_time(profile: Profile, cpu: CpuShare) -> str:
    """Return CPU time by samples, with its error: 31 to 34 % of a CPU (1,310 of 3,900 samples)."""
    low, high = _digits(cpu.low), _digits(cpu.high)
    shown = f"{low} to {high}" if low != high else low
    text = f"{shown} % of a CPU ({cpu.samples:,.0f} of {len(profile.samples):,} samples)"
    return f"{text}, shared with other containers by lookup time" if cpu.is_divided else text


def place(site: CallSiteUse | OperationUse) -> str:
    """Return where in the source a call is: "main.c:7 asks"."""
    return site.place


def _digits(ratio: float) -> str:
    value = ratio * 100
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"
