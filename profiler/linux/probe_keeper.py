"""A process of ours that places and removes the probes, so that a killed profiler leaves none.

Who is killed (SIGKILL) while the kernel writes breakpoints for him, or takes them away, leaves
those that are not yet written back: the kernel does not touch pages of the target for a process
that is to die (__get_user_pages() in mm/gup.c, Linux 6.18), and says "failed to unregister, leaking
uprobe". So the keeper holds the links. When the profiler ends, however it ends, it takes the probes
away and ends too.
"""

from __future__ import annotations

import errno
import os
import signal
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from profiler.linux.bpf import close_all
from profiler.linux.probe_links import ProbeLink, ProbeLinks

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_ENDED_BY_OTHERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_ATTACH, _DETACH = "attach", "detach"
_NAME = "probe-keeper"


class Keeper:
    """Does what ProbeLinks does, in a child process, for each `purpose` by itself."""

    def __init__(self, programs: Iterable[int]) -> None:
        """Start it; `programs` are the descriptors of all programs that links may name."""
        from multiprocessing.connection import Pipe  # 10 ms, when the host has been checked

        self._connection, theirs = Pipe()
        self._pid = os.fork()
        if not self._pid:
            try:
                _live(theirs, {theirs.fileno(), *programs})
            finally:
                os._exit(0)
        theirs.close()

    def attach(self, purpose: str, links: Sequence[ProbeLink]) -> None:
        """Open all, or none; raises OSError."""
        self._ask(_ATTACH, purpose, tuple(links))

    def detach(self, purpose: str) -> None:
        """Take the probes for a purpose away; returns when none of them is left."""
        with suppress(OSError):  # without a keeper there is no probe
            self._ask(_DETACH, purpose, ())

    def close(self) -> None:
        """Take away what is left, and wait for the keeper's end."""
        self._connection.close()
        with suppress(ChildProcessError):
            os.waitpid(self._pid, 0)

    def _ask(self, what: str, purpose: str, links: tuple[ProbeLink, ...]) -> None:
        try:
            self._connection.send((what, purpose, links, _own_priority()))
            error = self._connection.recv()
        except EOFError:
            error = errno.EPIPE
        except BaseException:  # an abort: nobody will know which answer the next one is
            self.close()
            raise
        if error:
            raise OSError(error, os.strerror(error))


def _live(connection: Connection, kept: set[int]) -> None:
    """Serve until nobody can ask any more."""
    with suppress(OSError):
        os.setsid()
    with suppress(OSError):
        Path("/proc/self/comm").write_text(_NAME)  # who kills the profiler by name spares it
    for number in _ENDED_BY_OTHERS:
        signal.signal(number, signal.SIG_IGN)
    _close_all_but(kept)
    links: defaultdict[str, ProbeLinks] = defaultdict(ProbeLinks)
    try:
        while True:
            what, purpose, wanted, priority = connection.recv()
            _run_as(*priority)
            connection.send(_do(links[purpose], what, wanted))
    except (EOFError, OSError):
        for opened in links.values():
            opened.close()


def _do(links: ProbeLinks, what: str, wanted: Sequence[ProbeLink]) -> int:
    """Return 0, or the number of the error."""
    try:
        if what == _ATTACH:
            links.attach(wanted)
        else:
            links.detach()
    except OSError as error:
        return error.errno or errno.EIO
    return 0


def _close_all_but(kept: set[int]) -> None:
    """Hold nothing that the profiler wants to give up, and no end of anybody's pipe."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    opened = {int(entry.name) for entry in Path("/proc/self/fd").iterdir()}
    close_all(opened - kept - {0, 1, 2})


def _own_priority() -> tuple[int, int]:
    """Return policy and priority: the keeper must not wait for a CPU when we do not."""
    with suppress(OSError):
        return os.sched_getscheduler(0), os.sched_getparam(0).sched_priority
    return os.SCHED_OTHER, 0


def _run_as(policy: int, priority: int) -> None:
    with suppress(OSError):
        if os.sched_getscheduler(0) != policy:
            os.sched_setscheduler(0, policy, os.sched_param(priority))
