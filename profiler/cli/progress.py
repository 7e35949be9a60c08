"""How far a run is: a line that is rewritten on a terminal, else one every ten seconds."""

from __future__ import annotations

import os
from contextlib import suppress
from types import TracebackType
from typing import TextIO

from profiler.record.progress import Progress

_LINE_NS = 10_000_000_000
_WIDTH = 79
_STOPPING = "stopping, Ctrl-C again to abort"


def progress_text(progress: Progress) -> str:
    """Return the line that is shown."""
    seen = f"{progress.samples:,} samples, {progress.lookups:,} lookups"
    if progress.objects is not None:
        seen = f"{progress.objects:,} objects"
    return (
        f"{progress.elapsed_ns / 1e9:5.1f} of {progress.duration_ns / 1e9:.0f} s, {seen}, "
        f"cost {100 * progress.spent_ratio:.1f} % of one CPU"
    )


class ProgressLine:
    """Shows progress on a stream that is meant for people; the line goes away with the context."""

    def __init__(self, out: TextIO, quiet: bool) -> None:
        self._out = out
        self._quiet = quiet
        self._is_terminal = out.isatty()
        self._can_rewrite = self._is_terminal and os.environ.get("TERM") != "dumb"
        self._is_shown = False
        self._next_ns = _LINE_NS

    def prepare(self, step: str) -> None:
        """Say what is done before the recording begins, to who looks at a terminal."""
        if self._can_rewrite:
            self._rewrite(f"preparing: {step}")
        elif self._is_terminal:
            self._write(f"preparing: {step}\n")

    def __call__(self, progress: Progress) -> None:
        """Show the newest state."""
        if self._can_rewrite:
            self._rewrite(progress_text(progress))
        elif progress.elapsed_ns >= self._next_ns:
            self._next_ns += _LINE_NS
            self._write(progress_text(progress) + "\n")

    def acknowledge(self) -> None:
        """Say at once that Ctrl-C was seen; called in a signal's handler, which may interrupt us.

        So this writes past the stream, whose buffer may be in use.
        """
        if self._quiet:
            return
        begin = "\r" if self._can_rewrite else ""
        width = _WIDTH if self._can_rewrite else 0
        self._is_shown = False
        with suppress(OSError):
            os.write(self._out.fileno(), f"{begin}{_STOPPING:{width}}\n".encode())

    def end(self) -> None:
        """Leave the line."""
        if self._is_shown:
            self._is_shown = False
            self._write("\r" + " " * _WIDTH + "\r")

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def _rewrite(self, line: str) -> None:
        self._is_shown = True
        self._write("\r" + line[:_WIDTH].ljust(_WIDTH))

    def _write(self, shown: str) -> None:
        """Show something; who does not read it any more does not end what is being recorded."""
        if self._quiet:
            return
        try:
            self._out.write(shown)
            self._out.flush()
        except OSError:  # a pipe without a reader, a terminal that was closed, a full disk
            self._quiet = True
