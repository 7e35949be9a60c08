"""One narrow drawing over the time axis of a run; all of them are as wide as the window is long.

They are stretched to the width of the page, so lines keep their width and texts are no part of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from profiler.model.recording import Window
from profiler.renderers.page.markup import Markup, element
from profiler.renderers.words.labels import printable

WIDTH = 1000
HEIGHT = 100
_TICKS_MAX = 8
_TICKS_S = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 14_400, 43_200)
_UNITS = ((3_600, "h"), (60, "min"), (1, "s"))
_EDGE_X = 970  # a label in the middle of a line from here on would leave the page
_EDGE = ' class="edge"'
_NOTHING = Markup("")
Values = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Axis:
    """The window, from left to right."""

    window: Window

    def x(self, time_ns: float) -> float:
        """Return where a time is."""
        share = (time_ns - self.window.start_ns) / self.window.duration_ns
        return min(max(share, 0.0), 1.0) * WIDTH

    def ticks(self) -> list[tuple[float, str]]:
        """Return (x, label) of round times, few enough that their labels do not touch."""
        seconds = self.window.duration_s
        days = range(86_400, 86_400 * 10_000, 86_400)
        fitting = (
            step for step in (0.1, 0.2, 0.5, *_TICKS_S, *days) if seconds / step <= _TICKS_MAX
        )
        step = next(fitting, seconds)
        unit_s, unit = next((pair for pair in _UNITS if step >= pair[0]), _UNITS[-1])
        return [
            (index * step / seconds * WIDTH, f"{index * step / unit_s:g} {unit}")
            for index in range(int(seconds / step) + 1)
        ]

    def moment(self, time_ns: float) -> str:
        """Return a time since the window began, for a sentence."""
        return f"{(time_ns - self.window.start_ns) / 1e9:.1f} s"


@dataclass(frozen=True, slots=True)
class Series:
    """Values of intervals, None where unknown; an interval begins where the one before ends."""

    axis: Axis
    ends_ns: Sequence[int]
    values: Values

    @property
    def known(self) -> list[float]:
        """All values that are known."""
        return [value for value in self.values if value is not None]

    def starts_ns(self) -> list[int]:
        """Return when each interval begins."""
        return [self.axis.window.start_ns, *self.ends_ns[:-1]]

    def _intervals(self) -> Iterator[tuple[int, int, float | None]]:
        return zip(self.starts_ns(), self.ends_ns, self.values, strict=True)

    def most_at(self) -> str:
        """Return when it was highest, for a sentence."""
        most = max(self.known)
        return self.axis.moment(self.starts_ns()[list(self.values).index(most)])

    def steps(self, high: float) -> str:
        """Return the path of an area from 0 up to each value; none where a value is unknown."""
        parts = []
        is_open = False
        for start_ns, end_ns, value in self._intervals():
            if value is not None:
                if not is_open:
                    parts.append(f"M{self.axis.x(start_ns):.1f} {HEIGHT}")
                parts.append(f"V{_y(value, 0, high):.1f}H{self.axis.x(end_ns):.1f}")
            elif is_open:
                parts.append(f"V{HEIGHT}z")
            is_open = value is not None
        return "".join([*parts, f"V{HEIGHT}z" if is_open else ""])

    def line(self, low: float, high: float) -> str:
        """Return the path of a line through the middles of all intervals whose value is known."""
        points = [
            f"{self.axis.x((start_ns + end_ns) / 2):.1f} {_y(value, low, high):.1f}"
            for start_ns, end_ns, value in self._intervals()
            if value is not None
        ]
        return f"M{'L'.join(points)}h0" if points else ""


def _y(value: float, low: float, high: float) -> float:
    if high > low:
        return HEIGHT * (1 - (value - low) / (high - low))
    return HEIGHT / 2 if value else HEIGHT


def path(data: str, kind: str) -> Markup:
    """Return a path."""
    return Markup(f'<path class="{kind}" d="{data}"/>')


def level(value: float, high: float) -> Markup:
    """Return a dashed line across."""
    return path(f"M0 {_y(value, 0, high):.1f}H{WIDTH}", "level")


def strip(
    axis: Axis, title: str, scale: str, summary: str, *drawing: Markup, legend: Markup = _NOTHING
) -> Markup:
    """Return a drawing beside its title and scale; `summary` is for those who cannot see it."""
    grid = path("".join(f"M{x:.1f} 0V{HEIGHT}" for x, _ in axis.ticks()), "grid")
    said = escape(printable(f"{title}: {summary}"))
    caption = element("figcaption", element("b", title), element("small", scale), legend)
    return Markup(
        f'<figure class="strip">{caption}'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{said}">{grid}{"".join(drawing)}</svg></figure>'
    )


def scale_of(axis: Axis) -> Markup:
    """Return the labels of the time axis."""
    labels = [
        f'<span style="left:{x / WIDTH * 100:.2f}%"{_EDGE if x > _EDGE_X else ""}>{label}</span>'
        for x, label in axis.ticks()
    ]
    return Markup(f'<div class="axis" aria-hidden="true">{"".join(labels)}</div>')
