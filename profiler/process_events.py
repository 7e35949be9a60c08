"""What happens to the target while it is recorded: threads start, end and are renamed, it exits,
it is replaced by exec.

The kernel's process connector reports each of it as it happens; where it may not be used (another
user namespace, no privilege), /proc is compared at each read instead, and threads that live shorter
than that are not seen. A pidfd tells the exit in both cases.
"""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyroute2.netlink import NLMSG_DONE
from pyroute2.netlink.connector import cn_proc

from profiler.netlink import (
    ACCEPT,
    JUMP_EQUAL,
    LOAD_WORD,
    REJECT,
    FilterInstruction,
    KernelSocket,
    loaded,
)
from profiler.process import PROC, is_running, read_image, read_name, read_tids

_NETLINK_CONNECTOR = 11  # linux/netlink.h
_BUFFER_BYTES = 1 << 20  # 10,000 events of the target between two reads
_ACKNOWLEDGE_S = 1.0
# Offsets in a message: struct nlmsghdr has 16 bytes, cn_msg 20, the fixed part of proc_event 16.
_WHAT = 36
_PROCESS_TID = 52
_PROCESS_TGID = 56
_CHILD_TGID = 64


@dataclass(frozen=True, slots=True)
class ThreadStarted:
    """The target has a new thread."""

    tid: int


@dataclass(frozen=True, slots=True)
class ThreadEnded:
    """A thread of the target ended."""

    tid: int


@dataclass(frozen=True, slots=True)
class ThreadRenamed:
    """A thread got a name; undecodable bytes are replaced."""

    tid: int
    name: str


@dataclass(frozen=True, slots=True)
class Replaced:
    """The target called exec: same pid, another program image."""


@dataclass(frozen=True, slots=True)
class Exited:
    """The target is gone. `status` is as waitpid(2) says it, None when nobody told."""

    status: int | None


ProcessEvent = ThreadStarted | ThreadEnded | ThreadRenamed | Replaced | Exited


class _CommEvent(cn_proc.proc_event_base):  # type: ignore[misc]
    """A rename whose name stays bytes: pyroute2 fails on names that are not UTF-8."""

    fields = cn_proc.proc_event_base.fields + (
        ("process_pid", "I"),
        ("process_tgid", "I"),
        ("comm", "16s"),
    )


def event_filter(pid: int, with_threads: bool) -> tuple[FilterInstruction, ...]:
    """Return the filter that accepts acknowledgements and what concerns the process `pid`.

    Without its threads that is its exec and the end of its main thread.
    """
    if not with_threads:
        return (
            (LOAD_WORD, 0, 0, _WHAT),
            (JUMP_EQUAL, 4, 0, loaded(cn_proc.PROC_EVENT_NONE)),
            (JUMP_EQUAL, 1, 0, loaded(cn_proc.PROC_EVENT_EXEC)),
            (JUMP_EQUAL, 0, 3, loaded(cn_proc.PROC_EVENT_EXIT)),
            (LOAD_WORD, 0, 0, _PROCESS_TID),
            (JUMP_EQUAL, 0, 1, loaded(pid)),
            ACCEPT,
            REJECT,
        )
    return (
        (LOAD_WORD, 0, 0, _WHAT),
        (JUMP_EQUAL, 5, 0, loaded(cn_proc.PROC_EVENT_NONE)),
        (JUMP_EQUAL, 0, 2, loaded(cn_proc.PROC_EVENT_FORK)),
        (LOAD_WORD, 0, 0, _CHILD_TGID),
        (JUMP_EQUAL, 2, 3, loaded(pid)),
        (LOAD_WORD, 0, 0, _PROCESS_TGID),
        (JUMP_EQUAL, 0, 1, loaded(pid)),
        ACCEPT,
        REJECT,
    )


def decode_messages(data: bytes) -> list[Any]:
    """Return the connector's messages in a datagram, as pyroute2 decodes them."""
    marshal = cn_proc.ProcEventMarshal()
    marshal.msg_map[cn_proc.PROC_EVENT_COMM] = _CommEvent
    return list(marshal.parse(data))


def event_of(message: Any, pid: int) -> ProcessEvent | None:
    """Return what a message says about the process `pid`, None when it does not concern it.

    The end of the main thread is a ThreadEnded like any other: the process may live on.
    """
    what = message["what"]
    if what == cn_proc.PROC_EVENT_FORK:
        ours = message["child_tgid"] == pid and message["child_pid"] != pid
        return ThreadStarted(message["child_pid"]) if ours else None
    if message.get("process_tgid") != pid:
        return None
    if what == cn_proc.PROC_EVENT_EXEC:
        return Replaced()
    if what == cn_proc.PROC_EVENT_EXIT:
        return ThreadEnded(message["process_pid"])
    if what == cn_proc.PROC_EVENT_COMM:
        name = message["comm"].split(b"\0", 1)[0].decode(errors="replace")
        return ThreadRenamed(message["process_pid"], name)
    return None


class ProcessEvents:
    """Events of one process, to be polled at `filenos()` and read without blocking.

    `warning` is None, or says why the connector is not used: then read() has to be called often.
    `overflows` counts how often the kernel dropped events; then threads are compared with /proc.
    Who needs no threads spares the reading of thousands of events of a busy PBX.
    """

    def __init__(self, pid: int, start_ticks: int, with_threads: bool = True) -> None:
        self.pid = pid
        self.tids = frozenset[int]()
        self.warning: str | None = None
        self._start_ticks = start_ticks
        self._status: int | None = None
        self._exited = False
        self._seen_overflows = 0
        self._pidfd = _open_pidfd(pid)
        self._socket: KernelSocket | None = None
        try:
            self._socket = _listen(pid, with_threads)
        except OSError as error:
            self.warning = f"process events are polled: {error.strerror or error}"
        self._image = read_image(pid)
        self.tids = frozenset(read_tids(pid))

    @property
    def overflows(self) -> int:
        """How often the kernel dropped events for lack of room."""
        return 0 if self._socket is None else self._socket.overflows

    def filenos(self) -> tuple[int, ...]:
        """Return the descriptors that become readable when there is something to read."""
        sockets = () if self._socket is None else (self._socket.fileno(),)
        return sockets if self._pidfd is None else (*sockets, self._pidfd)

    def exit_filenos(self) -> tuple[int, ...]:
        """Return the descriptors that become readable when the process ends, and no sooner.

        Whoever waits for more is woken by the target at each event, at the target's expense.
        """
        return () if self._pidfd is None else (self._pidfd,)

    def read(self) -> tuple[ProcessEvent, ...]:
        """Return what happened since the last call, Exited last and once; never blocks."""
        if self._exited:
            return ()
        gone = not self._alive()  # asked first, so that the events before the exit are all read
        events = list(self._read_socket())
        if self._socket is None or self._seen_overflows != self.overflows:
            self._seen_overflows = self.overflows
            events += self._compare()
        if gone:
            self._exited = True
            events.append(Exited(self._status))
        return tuple(events)

    def close(self) -> None:
        """Stop listening."""
        if self._socket is not None:
            self._socket.send(_control(cn_proc.PROC_CN_MCAST_IGNORE), NLMSG_DONE, 0)
            self._socket.close()
        if self._pidfd is not None:
            os.close(self._pidfd)

    def __enter__(self) -> ProcessEvents:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read_socket(self) -> Iterator[ProcessEvent]:
        while self._socket is not None and (data := self._socket.receive()) is not None:
            for message in decode_messages(data):
                event = event_of(message, self.pid)
                if isinstance(event, ThreadEnded) and event.tid == self.pid:
                    self._status = message["exit_code"]
                if event is not None and self._note(event):
                    yield event

    def _note(self, event: ProcessEvent) -> bool:
        """Keep the set of threads up to date; False when a comparison reported the event before."""
        before = self.tids
        if isinstance(event, ThreadStarted):
            self.tids = before | {event.tid}
        elif isinstance(event, ThreadEnded):
            self.tids = before - {event.tid}
        elif isinstance(event, Replaced):
            self.tids = frozenset({self.pid})
            self._image = read_image(self.pid)
            return True
        return isinstance(event, ThreadRenamed) or self.tids != before

    def _compare(self) -> Iterator[ProcessEvent]:
        """Yield what /proc shows to have changed."""
        image = read_image(self.pid)
        if image is not None and image != self._image:
            self._image = image
            yield Replaced()
        now = frozenset(read_tids(self.pid))
        yield from (ThreadEnded(tid) for tid in sorted(self.tids - now))
        yield from (ThreadStarted(tid) for tid in sorted(now - self.tids))
        self.tids = now

    def _alive(self) -> bool:
        if self._pidfd is None:
            return is_running(self.pid, self._start_ticks)
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return not poll.poll(0)


def read_thread_name(pid: int, tid: int, proc: Path = PROC) -> str | None:
    """Return the name of a thread of the target, None when it is gone."""
    return read_name(tid, proc / str(pid) / "task")


def _open_pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


def _control(operation: int) -> Any:
    message = cn_proc.proc_event_control()
    message["action"] = operation
    message["idx"] = cn_proc.CN_IDX_PROC
    message["val"] = cn_proc.CN_VAL_PROC
    message["len"] = 4  # of the operation
    return message


def _listen(pid: int, with_threads: bool) -> KernelSocket:
    """Return a socket that receives the events of `pid`; OSError when the kernel does not serve us.

    Outside of the initial namespaces it ignores the request without a word (cn_proc_mcast_ctl in
    linux/drivers/connector/cn_proc.c), hence the wait for its acknowledgement.
    """
    connection = KernelSocket(_NETLINK_CONNECTOR, cn_proc.CN_IDX_PROC, _BUFFER_BYTES)
    try:
        connection.accept_only(event_filter(pid, with_threads))
        connection.send(_control(cn_proc.PROC_CN_MCAST_LISTEN), NLMSG_DONE, 0)
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN)
        if not poll.poll(_ACKNOWLEDGE_S * 1000):
            raise TimeoutError("the kernel's process connector does not answer")
    except OSError:
        connection.close()
        raise
    return connection
