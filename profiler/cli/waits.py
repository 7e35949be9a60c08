"""Shows who waits for whom in a running Asterisk: once, again and again, or in one line."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

from profiler.asterisk.find import FoundTarget, find_asterisk
from profiler.cli.signals import stopping
from profiler.cli.streams import write_out
from profiler.errors import ProfilerError
from profiler.model.wait_picture import WaitPicture, WaitStatus
from profiler.names.session import NamingSession
from profiler.process.target import TargetProcess
from profiler.record.progress import Stop
from profiler.renderers.exports import waits_json
from profiler.renderers.terminal import waits_text
from profiler.report.waits.wait_picture import picture
from profiler.waits.reader import WaitReader
from profiler.waits.sources import compile_reader, open_threads

# Long enough that a lock which is given back in time has been; short enough for who waits for us.
_APART_NS = 300_000_000
_SLICE_S = 0.05
# Beside those of profiler.errors; docs/waits.md has what they are to monitoring.
EXIT_CODES = {WaitStatus.OK: 0, WaitStatus.STUCK: 10, WaitStatus.DEADLOCK: 11}


def check(pid: int | None, symbols: str | None, stuck_ns: int) -> int:
    """Print one line, and return the exit code that says the same."""
    with open_reader(pid, symbols) as reader:
        taken = next(_pictures(reader, None, stuck_ns, Stop()))
    write_out(lambda shown, out: out.write(waits_text.summary(shown) + "\n"), taken)
    return EXIT_CODES[taken.status]


def show(
    pid: int | None,
    symbols: str | None,
    every_ns: int | None,
    count: int | None,
    stuck_ns: int,
    as_json: bool,
) -> None:
    """Print a picture, or several; Ctrl-C ends a row of them."""
    render = (waits_json if as_json else waits_text).render
    with open_reader(pid, symbols) as reader:
        if every_ns is None:
            write_out(render, next(_pictures(reader, None, stuck_ns, Stop())))
            return
        with stopping(lambda: None) as stop:
            for number, taken in enumerate(_pictures(reader, every_ns, stuck_ns, stop), 1):
                if not write_out(render, taken) or number == count:
                    return


@contextmanager
def open_reader(pid: int | None, symbols: str | None) -> Iterator[WaitReader]:
    """Yield what reads the Asterisk with that pid, or the only one."""
    with ExitStack() as stack:
        compilation = compile_reader()  # it may take a second: meanwhile we look for the process
        if compilation is not None:
            stack.enter_context(closing(compilation))
        found = _find(pid)
        target = TargetProcess.open(found.pid, found.process.stat.start_ticks)
        read_threads, warnings = open_threads(stack, found.pid, compilation)
        session = NamingSession(target, symbols)
        yield WaitReader(target, session, found.recorded(exited=False), read_threads, warnings)


def _pictures(
    reader: WaitReader, every_ns: int | None, stuck_ns: int, stop: Stop
) -> Iterator[WaitPicture]:
    """Yield one picture, or one after another until somebody wants to stop."""
    before = reader.read()
    _sleep_until(before.end_ns + _APART_NS, stop)
    while True:
        now = reader.read()
        taken_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        stop.has_begun = True
        yield picture(before, now, stuck_ns, taken_at)
        if every_ns is None:
            return
        before = now
        _sleep_until(now.end_ns + every_ns, stop)
        if stop.reason is not None:
            return


def _find(pid: int | None) -> FoundTarget:
    try:
        return find_asterisk(pid)
    except ProfilerError as error:
        hint = error.hint.replace("ebpf-prof asterisk", "ebpf-prof waits")
        raise type(error)(error.message, hint) from None


def _sleep_until(end_ns: int, stop: Stop) -> None:
    while stop.reason is None and (left_ns := end_ns - time.monotonic_ns()) > 0:
        time.sleep(min(left_ns / 1e9, _SLICE_S))
