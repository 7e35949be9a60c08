"""Links between programs and sites in files: while one is open, its probes are placed."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Thread

from profiler.linux import bpf, perf_events
from profiler.linux.bpf import UprobeSite

_HEAD_START_S = 0.004  # a busy link's probes were gone after 2 ms, once after 4


@dataclass(frozen=True, slots=True)
class MultiProbeLink:
    """A link of one program to many sites of one file (Linux 6.6)."""

    program: int  # descriptor
    attach_type: int
    path: str
    sites: tuple[UprobeSite, ...]
    pid: int
    is_return: bool

    def open(self) -> int:
        """Place the probes; return the descriptor that keeps them. Raises OSError."""
        return bpf.link_uprobes(
            self.program, self.attach_type, self.path, self.sites, self.pid, self.is_return
        )


@dataclass(frozen=True, slots=True)
class SingleProbeLink:
    """A perf event at one site of a file, for kernels without such links."""

    program: int  # descriptor
    path: str
    file_offset: int
    pid: int
    is_return: bool

    def open(self) -> int:
        """Place the probe; return the descriptor that keeps it. Raises OSError."""
        event = perf_events.open_uprobe(self.path, self.file_offset, self.pid, self.is_return)
        try:
            perf_events.run_program_on(event, self.program)
        except OSError:
            os.close(event)
            raise
        return event


ProbeLink = MultiProbeLink | SingleProbeLink


class ProbeLinks:
    """Links that are opened one after the other, and closed together."""

    def __init__(self) -> None:
        self._open: list[int] = []

    def attach(self, links: Sequence[ProbeLink]) -> None:
        """Open all, or none; raises OSError."""
        try:
            for link in links:
                self._open.append(link.open())
        except OSError:
            self.detach()
            raise

    def detach(self) -> None:
        """Take all probes away, the last ones first; returns when none is left.

        A link's probes are gone soon after its close begins; then the kernel waits until nobody
        runs in one any more. So the others' probes are removed meanwhile, but not at once: it would
        keep the first ones, which are the busy ones, in place for longer.
        """
        links, self._open = self._open[::-1], []
        if len(links) < 2:
            _close(links)
            return
        others = Thread(target=_close, args=(links[1:], _HEAD_START_S))
        others.start()
        _close(links[:1])
        others.join()

    def close(self) -> None:
        """Take away what is left."""
        self.detach()


def _close(links: Sequence[int], after_s: float = 0.0) -> None:
    time.sleep(after_s)
    bpf.close_all(links)
