"""How far a recording is: a line that is rewritten on a terminal, else one every ten seconds."""

from __future__ import annotations

from typing import TextIO

from profiler.record.progress import Progress

_LINE_NS = 10_000_000_000
_WIDTH = 79


def progress_text(progress: Progress) -> str:
    """Return the line that is shown."""
    return (
        f"{progress.elapsed_ns / 1e9:5.1f} of {progress.duration_ns / 1e9:.0f} s, "
        f"{progress.samples:,} samples, {progress.lookups:,} lookups, "
        f"cost {100 * progress.spent_ratio:.1f} % of one CPU"
    )


class ProgressLine:
    """Shows progress on a stream that is meant for people."""

    def __init__(self, out: TextIO, quiet: bool) -> None:
        self._out = out
        self._quiet = quiet
        self._is_terminal = out.isatty()
        self._next_ns = _LINE_NS

    def __call__(self, progress: Progress) -> None:
        """Show the newest state."""
        if self._is_terminal:
            self._write("\r" + progress_text(progress)[:_WIDTH].ljust(_WIDTH))
        elif progress.elapsed_ns >= self._next_ns:
            self._next_ns += _LINE_NS
            self._write(progress_text(progress) + "\n")

    def end(self) -> None:
        """Leave the line."""
        if self._is_terminal:
            self._write("\r" + " " * _WIDTH + "\r")

    def _write(self, shown: str) -> None:
        """Show something; who does not read it any more does not end what is being recorded."""
        if self._quiet:
            return
        try:
            self._out.write(shown)
            self._out.flush()
        except OSError:  # a pipe without a reader, a terminal that was closed, a full disk
            self._quiet = True
