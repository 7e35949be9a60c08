"""Reports that the target is no longer the process that was found: it exited, or called exec.

A pidfd reports the exit, the kernel's process connector the exec. Where that may not be used
(another user namespace, no privilege), /proc is compared at each question instead.
"""

from __future__ import annotations

import os
import select
from typing import Any

from pyroute2.netlink import NLMSG_DONE
from pyroute2.netlink.connector import cn_proc

from profiler.linux.netlink import (
    ACCEPT,
    JUMP_EQUAL,
    LOAD_WORD,
    REJECT,
    FilterInstruction,
    KernelSocket,
    loaded,
)
from profiler.process.procfs import is_running, read_image
from profiler.process.target import TargetProcess

_NETLINK_CONNECTOR = 11  # linux/netlink.h
_BUFFER_BYTES = 1 << 16
_ACKNOWLEDGE_S = 1.0
# Offsets in a message: struct nlmsghdr has 16 bytes, cn_msg 20, the fixed part of proc_event 16.
_WHAT = 36
_PROCESS_TID = 52


def event_filter(pid: int) -> tuple[FilterInstruction, ...]:
    """Return the filter that accepts acknowledgements, and the exec of the process `pid`.

    The thread that calls exec has the process's id by then.
    """
    return (
        (LOAD_WORD, 0, 0, _WHAT),
        (JUMP_EQUAL, 3, 0, loaded(cn_proc.PROC_EVENT_NONE)),
        (JUMP_EQUAL, 0, 3, loaded(cn_proc.PROC_EVENT_EXEC)),
        (LOAD_WORD, 0, 0, _PROCESS_TID),
        (JUMP_EQUAL, 0, 1, loaded(pid)),
        ACCEPT,
        REJECT,
    )


def is_exec(data: bytes) -> bool:
    """Return whether a datagram that passed the filter says that the process called exec."""
    messages = cn_proc.ProcEventMarshal().parse(data)
    return any(message["what"] == cn_proc.PROC_EVENT_EXEC for message in messages)


class ProcessEvents:
    """Asks about one process, without blocking.

    `warning` is None, or says why the connector is not used: then it has to be asked often.
    """

    def __init__(self, target: TargetProcess) -> None:
        self.warning: str | None = None
        self._target = target
        self._pidfd = _open_pidfd(target.pid)
        self._socket: KernelSocket | None = None
        try:
            self._socket = _listen(target.pid)
        except OSError as error:
            self.warning = f"process events are polled: {error.strerror or error}"
        self._image = read_image(target.pid)

    def exit_filenos(self) -> tuple[int, ...]:
        """Return the descriptors that become readable when the process ends, and no sooner.

        Whoever waits for more is woken by the target at each event, at the target's expense.
        """
        return () if self._pidfd is None else (self._pidfd,)

    def is_over(self) -> bool:
        """Return whether the process exited or called exec."""
        return not self._alive() or self._called_exec()

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

    def _called_exec(self) -> bool:
        if self._socket is None:
            return read_image(self._target.pid) not in (None, self._image)
        while (data := self._socket.receive()) is not None:
            if is_exec(data):
                return True
        return False

    def _alive(self) -> bool:
        if self._pidfd is None:
            return is_running(self._target.pid, self._target.start_ticks)
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return not poll.poll(0)


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


def _listen(pid: int) -> KernelSocket:
    """Return a socket that receives the exec of `pid`; OSError when the kernel does not serve us.

    Outside of the initial namespaces it ignores the request without a word (cn_proc_mcast_ctl in
    linux/drivers/connector/cn_proc.c), hence the wait for its acknowledgement.
    """
    connection = KernelSocket(_NETLINK_CONNECTOR, cn_proc.CN_IDX_PROC, _BUFFER_BYTES)
    try:
        connection.accept_only(event_filter(pid))
        connection.send(_control(cn_proc.PROC_CN_MCAST_LISTEN), NLMSG_DONE, 0)
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN)
        if not poll.poll(_ACKNOWLEDGE_S * 1000):
            raise TimeoutError("the kernel's process connector does not answer")
    except OSError:
        connection.close()
        raise
    return connection
