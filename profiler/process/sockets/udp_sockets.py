"""Receive queues and drops of the target's UDP sockets: where a PBX that cannot keep up shows it.

Asked of the kernel by sock_diag in the target's network namespace; where that is not possible,
/proc/PID/net/udp is read, which shows the same. Drops of a socket after its last sample are unseen.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import nsmallest

from profiler.model import recording
from profiler.process.procfs import PROC
from profiler.process.sockets.open_sockets import OpenSockets
from profiler.process.sockets.sock_diag import MAX_SOCKETS, SocketDiag, SocketState, parse_proc_net

LISTED_SOCKETS = 1000  # the worst; a busy PBX opens two for each call
LOOKED_AT = 512  # descriptors, in one sample, to learn whose new sockets are; takes 2 to 4 ms
# Samples without a socket until it is taken for closed: the kernel may miss one while others come.
_UNSEEN_SAMPLES = 3
_MOST_CLOSED = 10_000  # before those that will not be listed are left out


class SocketHistory:
    """What was seen of one socket inside the window."""

    __slots__ = (
        "_drops_before",
        "_drops_last",
        "_queue_bytes_max",
        "_queue_bytes_sum",
        "_samples",
        "key",
        "last_sample",
        "local",
        "queue_bytes",
        "rounds_begun",
    )

    def __init__(self, key: int, drops_before: int, rounds_begun: int) -> None:
        self.key = key
        self.rounds_begun = rounds_begun  # through the target's descriptors, when it was first seen
        self.last_sample = 0
        self.local = ""
        self.queue_bytes = 0  # in the last sample
        self._samples = self._queue_bytes_sum = self._queue_bytes_max = 0
        self._drops_before = self._drops_last = drops_before

    @property
    def drops(self) -> int:
        """Return the drops since the window began; the kernel counts in 32 bits."""
        return (self._drops_last - self._drops_before) % (1 << 32)

    @property
    def rank(self) -> tuple[int, int, str]:
        """Return what sockets are sorted by, worst first: drops, then the longest queue."""
        return -self.drops, -self._queue_bytes_max, self.local

    def add(self, state: SocketState, sample: int) -> None:
        """Add one sample, by its number."""
        self.last_sample = sample
        self.local = state.local  # a socket can be bound late
        self._samples += 1
        self.queue_bytes = state.queue_bytes
        self._queue_bytes_sum += state.queue_bytes
        self._queue_bytes_max = max(self._queue_bytes_max, state.queue_bytes)
        self._drops_last = state.drops

    def recorded(self) -> recording.Socket:
        """Return what a recording keeps."""
        return recording.Socket(
            local=self.local,
            receive_queue_bytes_max=self._queue_bytes_max,
            receive_queue_bytes_mean=self._queue_bytes_sum / self._samples,
            drops=self.drops,
        )


def worst(histories: Iterable[SocketHistory]) -> list[SocketHistory]:
    """Return those that are listed, worst first."""
    return nsmallest(LISTED_SOCKETS, histories, key=lambda history: history.rank)


class UdpSockets:
    """Samples the target's UDP sockets: call sample() at the start, regularly, and at the end.

    `warning` is None, or says why /proc is read instead of asking sock_diag, or what is missing.
    `queue_bytes` is the longest queue in the last sample, `drops` the sum up to it.
    """

    def __init__(self, pid: int) -> None:
        self.warning: str | None = None
        self.queue_bytes = self.drops = 0
        self._pid = pid
        self._open = OpenSockets(pid)
        self._own: dict[int, SocketHistory] = {}  # by key
        self._undecided: dict[int, SocketHistory] = {}  # by inode; perhaps the target's
        self._foreign: set[int] = set()  # keys of other processes' sockets
        self._closed: list[SocketHistory] = []  # the worst of those that closed, and the latest
        self._closed_count = self._closed_drops = 0
        self._unknown_drops = 0  # of sockets that closed before anybody knew whose they are
        self._samples = 0
        self._diag: SocketDiag | None = None
        try:
            self._diag = SocketDiag(f"/proc/{pid}/ns/net")
            self._diag.query()
        except OSError as error:
            self.warning = f"UDP sockets are read from /proc: {error}"
            self._stop_asking()

    def sample(self, looked_at: int | None = None) -> None:
        """Take a sample of all sockets; where some are new, look at so many descriptors, or all."""
        try:
            states = self._read_proc() if self._diag is None else self._diag.query()
        except OSError as error:
            self.warning = f"a sample of the UDP sockets is missing: {error}"
            return
        self._samples += 1
        for state in states:
            self._add(state)
        if self._undecided:
            self._decide(looked_at)
        self._foreign &= {state.key for state in states}
        self._forget_closed()
        seen = (one for one in self._own.values() if one.last_sample == self._samples)
        self.queue_bytes = max((one.queue_bytes for one in seen), default=0)
        self.drops = self._closed_drops + sum(one.drops for one in self._own.values())

    def _add(self, state: SocketState) -> None:
        history = self._own.get(state.key) or self._undecided.get(state.inode)
        if history is None:
            if state.key in self._foreign:
                return
            # A socket that appears inside the window has dropped nothing before it.
            before = state.drops if self._samples == 1 else 0
            history = SocketHistory(state.key, before, self._open.begun)
            self._undecided[state.inode] = history
        history.add(state, self._samples)

    def _decide(self, looked_at: int | None) -> None:
        """Find out which new sockets are the target's: those that a round through it all meets."""
        for inode in self._open.look(looked_at):
            history = self._undecided.pop(inode, None)
            if history is not None:
                self._own[history.key] = history
        if self._open.ended == self._open.begun:
            for inode, history in list(self._undecided.items()):
                if self._open.ended > history.rounds_begun:
                    del self._undecided[inode]
                    self._foreign.add(history.key)

    def _forget_closed(self) -> None:
        """Keep no more of sockets that closed than what may be listed."""
        for history in _take_closed(self._own, self._samples):
            self._closed_count += 1
            self._closed_drops += history.drops
            self._closed.append(history)
        if len(self._closed) > _MOST_CLOSED:
            self._closed = worst(self._closed)
        self._unknown_drops += sum(h.drops for h in _take_closed(self._undecided, self._samples))

    def recorded(self) -> tuple[recording.Socket, ...]:
        """Return what was seen; of more than LISTED_SOCKETS the worst, and `warning` says so."""
        if self.warning is None:
            self.warning = self._not_listed()
        listed = worst((*self._closed, *self._own.values()))
        return tuple(history.recorded() for history in listed)

    def _not_listed(self) -> str | None:
        seen = self._closed_count + len(self._own)
        unknown = self._unknown_drops + sum(h.drops for h in self._undecided.values())
        if unknown:
            closed = "sockets that closed before it was known whether they are the target's"
            return f"{unknown:,} datagrams were dropped by UDP {closed}"
        if seen > LISTED_SOCKETS:
            listed = f"only the {LISTED_SOCKETS:,} with most drops and longest queues are listed"
            return f"of {seen:,} UDP sockets {listed}"
        return None

    def close(self) -> None:
        """Close the connection to the kernel."""
        self._stop_asking()
        self._open.close()

    def _stop_asking(self) -> None:
        if self._diag is not None:
            self._diag.close()
            self._diag = None

    def _read_proc(self) -> list[SocketState]:
        states: list[SocketState] = []
        for name in ("udp", "udp6"):
            try:
                text = (PROC / str(self._pid) / "net" / name).read_text()
            except OSError:
                continue  # it exited, or has no IPv6
            states += parse_proc_net(text)
        return states[:MAX_SOCKETS]


def _take_closed(histories: dict[int, SocketHistory], samples: int) -> list[SocketHistory]:
    """Remove and return those that were not seen any more."""
    last = samples - _UNSEEN_SAMPLES
    closed = [key for key, history in histories.items() if history.last_sample < last]
    return [histories.pop(key) for key in closed]
