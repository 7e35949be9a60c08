"""Numbers as people read them: 55,585, 7.9 k, 1.23 ms, 0.4 %, 213 kB; unknown is "?"."""

from __future__ import annotations

UNKNOWN = "?"

_SUFFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_TIME_UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "us"), (1.0, "ns"))
_SIZE_UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def exact(value: int | None) -> str:
    """Return every digit: 1,234,567."""
    return UNKNOWN if value is None else f"{value:,}"


def counted(value: int, noun: str) -> str:
    """Return a number with what it counts: 1 socket, 2 sockets."""
    return f"{exact(value)} {noun}{'' if value == 1 else 's'}"


def count(value: float | None, exact_below: float = 100_000) -> str:
    """Return a count in all digits below the limit, else shortened: 55,585, 1.30 M."""
    if value is None:
        return UNKNOWN
    if abs(value) < exact_below:
        return f"{round(value):,}"
    return short(value)


def short(value: float | None) -> str:
    """Return three digits: 7, 0.52, 7.9 k, 21.7 k, 5.57 G."""
    if value is None:
        return UNKNOWN
    for unit, suffix in _SUFFIXES:
        if abs(value) >= unit * 0.9995:
            return f"{_three_digits(value / unit)} {suffix}"
    return _three_digits(value)


def column(value: float | None) -> str:
    """Return a count for a column of narrow tables: exact below a hundred million."""
    return count(value, exact_below=1e8)


def change(value: float) -> str:
    """Return a difference with its sign: +117, -3, 0."""
    return f"{'+' if round(value) > 0 else ''}{column(value)}"


def duration(nanoseconds: float | None) -> str:
    """Return a time with its unit: 870 ns, 1.23 ms, 55.2 s."""
    if nanoseconds is None:
        return UNKNOWN
    for unit, suffix in _TIME_UNITS:
        if abs(nanoseconds) >= unit * 0.9995:
            return f"{_three_digits(nanoseconds / unit)} {suffix}"
    return f"{_three_digits(nanoseconds)} ns"


def measured_duration(nanoseconds: float | None, resolution_ns: int) -> str:
    """Return a measured time, or only that it is shorter than the resolution."""
    if nanoseconds is not None and nanoseconds < resolution_ns:
        return f"<{duration(resolution_ns)}"
    return duration(nanoseconds)


def size(size_bytes: float | None) -> str:
    """Return a number of bytes with a decimal unit: 0 B, 213 kB."""
    if size_bytes is None:
        return UNKNOWN
    for unit, suffix in _SIZE_UNITS:
        if size_bytes >= unit * 0.9995:
            return f"{_three_digits(size_bytes / unit)} {suffix}"
    return f"{round(size_bytes)} B"


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


def _three_digits(value: float) -> str:
    magnitude = abs(value)
    digits = 0 if magnitude >= 99.95 else 1 if magnitude >= 9.995 else 2
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if value == int(value) and "." in text else text
