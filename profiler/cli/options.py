"""What click does not have: our kinds of values, and help that may be impossible to write."""

from __future__ import annotations

import math
import re
from typing import Any

import click

from profiler.cli.streams import cannot_write

_UNITS_S = {"": 1.0, "s": 1.0, "ms": 0.001, "m": 60.0, "min": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|m|h)?")
_MAX_DURATION_S = 24 * 3600
MAX_FREQUENCY_HZ = 10_000


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic only in newer clicks
    """A stretch of time."""

    name = "time"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return seconds."""
        if isinstance(value, float | int):
            return float(value)
        match = _DURATION.fullmatch(str(value).strip())
        seconds = float(match[1]) * _UNITS_S[match[2] or ""] if match else 0.0
        if not 0 < seconds <= _MAX_DURATION_S:
            self.fail(f"{value!r} is no duration: say 60, 60s, 1m or 0.5h, at most 24h", param, ctx)
        return seconds


class Frequency(click.FloatRange):
    """A number of samples a second."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return hertz; "nan" is none, although it is not out of any range."""
        hertz = float(super().convert(value, param, ctx))
        if math.isnan(hertz):
            self.fail(f"{value!r} is no frequency: say 1 to {MAX_FREQUENCY_HZ}", param, ctx)
        return hertz


class Budget(click.ParamType):  # type: ignore[type-arg]  # generic only in newer clicks
    """A share of one CPU."""

    name = "share"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return a ratio of one CPU; infinity for "off"."""
        if isinstance(value, float):
            return value
        shown = str(value).strip().lower()
        if shown == "off":
            return float("inf")
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%?", shown)
        ratio = float(match[1]) / 100 if match else 0.0
        if not 0.001 <= ratio <= 1:
            self.fail(f"{value!r} is no budget: say 0.1% to 100%, or off", param, ctx)
        return ratio


class _ShowingHelp:
    """A command that writes its help, or the version, while it parses its arguments."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click's; UsageError where it cannot write, but not where nobody reads any more."""
        try:
            return super().parse_args(ctx, args)  # type: ignore[misc,no-any-return]
        except BrokenPipeError:
            raise
        except OSError as error:
            raise cannot_write(error, "df -h") from error


class Command(_ShowingHelp, click.Command):
    """A command of ours."""


class Commands(_ShowingHelp, click.Group):
    """A group of them."""

    command_class = Command
