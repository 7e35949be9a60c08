"""Numbers as people read them: 55,585, 7.9 k, 1.23 ms, 0.4 %, 213 kB; unknown is "?"."""

from __future__ import annotations

from collections.abc import Sequence

UNKNOWN = "?"

_SUFFIXES = ((1e15, " P"), (1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k"), (0.0, ""))
_TIME_UNITS = ((1e9, " s"), (1e6, " ms"), (1e3, " us"), (0.0, " ns"))
_SIZE_UNITS = ((1e9, " GB"), (1e6, " MB"), (1e3, " kB"), (0.0, " B"))


def counted(value: int, noun: str) -> str:
    """Return a number with what it counts: 1 socket, 2 sockets."""
    return f"{value:,} {noun}{'' if value == 1 else 's'}"


def count(value: float | None, exact_below: float = 100_000) -> str:
    """Return a count in all digits below the limit, else shortened: 55,585, 1.30 M."""
    if value is None:
        return UNKNOWN
    if abs(value) < exact_below:
        return f"{round(value):,}"
    return short(value)


def short(value: float | None) -> str:
    """Return three digits: 7, 0.52, 7.9 k, 21.7 k, 5.57 G."""
    return _scaled(value, _SUFFIXES)


def column(value: float | None) -> str:
    """Return a count for a column of narrow tables: exact below a hundred million."""
    return count(value, exact_below=1e8)


def change(value: float) -> str:
    """Return a difference with its sign: +117, -3, 0."""
    return f"{'+' if round(value) > 0 else ''}{column(value)}"


def duration(nanoseconds: float | None) -> str:
    """Return a time with its unit: 870 ns, 1.23 ms, 55.2 s."""
    return _scaled(nanoseconds, _TIME_UNITS)


def seconds(value: float) -> str:
    """Return a time of seconds as people say it: 60 s, 4 s, 0.04 s."""
    return f"{value:,.0f} s" if value >= 1 else f"{value:.2g} s"


def measured_duration(nanoseconds: float | None, resolution_ns: int) -> str:
    """Return a measured time, or only that it is shorter than the resolution."""
    if nanoseconds is not None and nanoseconds < resolution_ns:
        return f"<{duration(resolution_ns)}"
    return duration(nanoseconds)


def size(size_bytes: float) -> str:
    """Return a number of bytes with a decimal unit: 0 B, 213 kB."""
    return _scaled(round(size_bytes), _SIZE_UNITS)


def percent(ratio: float | None) -> str:
    """Return per cent for a sentence: 0.4 %, 1 %, 93 %; never 0 or 100 when it is not quite."""
    if ratio is None:
        return UNKNOWN
    value = ratio * 100
    if 0 < value < 0.01:
        return "<0.01 %"
    if 99.5 <= value < 100:
        return f"{min(value, 99.99):.2f} %"
    digits = 2 if abs(value) < 0.095 else 1 if abs(value) < 9.95 else 0
    text = f"{value:.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"


def percent_cell(ratio: float | None) -> str:
    """Return per cent with one decimal, so that a column of them lines up."""
    return UNKNOWN if ratio is None else f"{ratio * 100:.1f} %"


def _scaled(value: float | None, units: Sequence[tuple[float, str]]) -> str:
    """Return three digits and the first unit that the value reaches; the last one is of ones."""
    if value is None:
        return UNKNOWN
    unit, name = next((size, name) for size, name in units if abs(value) >= size * 0.9995)
    scaled = value / (unit or 1.0)
    magnitude = abs(scaled)
    digits = 0 if magnitude >= 99.95 else 1 if magnitude >= 9.995 else 2
    text = f"{scaled:.{digits}f}"
    if scaled == int(scaled):
        text = text.partition(".")[0]
    return text + name
