"""CPU time of threads that ended, nearly all of it, from the kernel's taskstats.

Asked where the kernel has no BTF: thread_exits.py knows all of it.

pyroute2 finds the family and encodes and decodes the messages; struct taskstats itself is decoded
here, because pyroute2 fails on thread names that are not UTF-8.
Layout: linux/include/uapi/linux/taskstats.h, version 13 and 16; version 15 (Linux 6.14) put
members into the middle. Which one holds is found by trying it on ourselves.
"""

from __future__ import annotations

import os
import select
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyroute2 import TaskStats
from pyroute2.netlink import NLM_F_ACK, NLM_F_REQUEST, genlmsg, nla
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.nlsocket import Marshal
from pyroute2.netlink.taskstats import TASKSTATS_CMD_GET, tcmd

from profiler.linux.netlink import ACCEPT, JUMP_EQUAL, LOAD_WORD, REJECT, KernelSocket, loaded
from profiler.process.thread_times import ThreadExit, ThreadTime

_NETLINK_GENERIC = 16  # linux/netlink.h
_ANSWER_S = 1.0
_EXIT_BUFFER_BYTES = 4 << 20  # some 2,000 threads that end between two reads
_NAME_BYTES = 32
# In an exit message: nlmsghdr 16, genlmsghdr 4, headers of the two nested attributes, the thread's
# id and its header before the structure.
_STRUCTURE_OFFSET = 36


@dataclass(frozen=True, slots=True)
class _Layout:
    """Offsets in struct taskstats; the delay is at 24 in all of them."""

    cpu: int  # cpu_run_virtual_total: the scheduler's nanoseconds
    name: int
    tid: int
    tgid: int  # beyond the end before version 12 (Linux 5.19)


_LAYOUTS = (_Layout(72, 80, 128, 368), _Layout(120, 128, 176, 464))
_DELAY_OFFSET = 24


class _Aggregate(nla):  # type: ignore[misc]
    nla_map = (("UNSPEC", "none"), ("PID", "uint32"), ("TGID", "uint32"), ("STATS", "cdata"))


class _Message(genlmsg):  # type: ignore[misc]
    """taskstatsmsg of pyroute2, with the structure left as bytes."""

    aggregate = _Aggregate
    nla_map = (
        ("UNSPEC", "none"),
        ("PID", "uint32"),
        ("TGID", "uint32"),
        ("STATS", "cdata"),
        ("AGGR_PID", "aggregate"),
    )


class TaskTimes:
    """Reads the ends of threads. OSError when the kernel does not serve us."""

    def __init__(self, pid: int) -> None:
        """Listen to the ends of a process's threads."""
        self._family = _find_family()
        self._marshal = Marshal()
        self._marshal.msg_map = {self._family: _Message}
        self._layout, self._reports_tgid = self._find_layout()
        self._exits = KernelSocket(_NETLINK_GENERIC, 0, _EXIT_BUFFER_BYTES)
        try:
            self._listen(pid)
        except OSError:
            self._exits.close()
            raise

    def _listen(self, pid: int) -> None:
        cpus = Path("/sys/devices/system/cpu/possible").read_text().strip()
        attribute = "TASKSTATS_CMD_ATTR_REGISTER_CPUMASK"
        self._request(self._exits, attribute, cpus, NLM_F_REQUEST | NLM_F_ACK)
        while isinstance(self._answer(self._exits), _Message):
            pass  # somebody's end, before the acknowledgement
        if self._reports_tgid:
            self._exits.accept_only(
                (
                    (LOAD_WORD, 0, 0, _STRUCTURE_OFFSET + self._layout.tgid),
                    (JUMP_EQUAL, 0, 1, loaded(pid)),
                    ACCEPT,
                    REJECT,
                )
            )

    @property
    def overflows(self) -> int:
        """How often the kernel dropped exits for lack of room."""
        return self._exits.overflows

    def read_exits(self) -> Iterator[ThreadExit]:
        """Yield the threads that ended since the last call; old kernels add other processes'."""
        while (data := self._exits.receive()) is not None:
            for message in self._marshal.parse(data):
                if isinstance(message, _Message):
                    yield self._exit(message)

    def close(self) -> None:
        """Stop listening."""
        self._exits.close()  # the kernel forgets a listener with its socket

    def _exit(self, message: Any) -> ThreadExit:
        aggregate = message.get_attr("AGGR_PID")
        structure = aggregate.get_attr("STATS")
        return ThreadExit(
            time=self._decode(structure, aggregate.get_attr("PID")),
            tgid=_number(structure, self._layout.tgid, "=I") if self._reports_tgid else None,
            started_ns=None,
        )

    def _decode(self, structure: bytes, tid: int) -> ThreadTime:
        name = structure[self._layout.name : self._layout.name + _NAME_BYTES]
        return ThreadTime(
            tid=tid,
            name=name.split(b"\0", 1)[0].decode(errors="replace"),
            cpu_ns=_number(structure, self._layout.cpu, "=Q"),
            run_delay_ns=_number(structure, _DELAY_OFFSET, "=Q"),
        )

    def _request(
        self, connection: KernelSocket, attribute: str, value: int | str, flags: int
    ) -> None:
        message = tcmd()
        message["cmd"] = TASKSTATS_CMD_GET
        message["version"] = 1
        message["attrs"].append([attribute, value])
        connection.send(message, self._family, flags)

    def _answer(self, connection: KernelSocket) -> Any:
        """Return the next message; OSError when it is an error, or does not come."""
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN)
        if not poll.poll(_ANSWER_S * 1000) or (data := connection.receive()) is None:
            raise TimeoutError("taskstats does not answer")
        message = next(iter(self._marshal.parse(data)))
        if (error := message["header"].get("error")) is not None:
            raise OSError(error.code, os.strerror(error.code))
        return message

    def _ask(self, tid: int) -> bytes:
        """Return the structure of a thread."""
        queries = KernelSocket(_NETLINK_GENERIC, 0, 1 << 16)
        try:
            self._request(queries, "TASKSTATS_CMD_ATTR_PID", tid, NLM_F_REQUEST)
            message = self._answer(queries)
        finally:
            queries.close()
        return bytes(message.get_attr("AGGR_PID").get_attr("STATS"))

    def _find_layout(self) -> tuple[_Layout, bool]:
        """Return the layout that is true of this very thread, and whether it has the tgid."""
        tid = int(Path("/proc/thread-self").resolve().name)
        before_ns = _own_cpu_ns(tid)
        structure = self._ask(tid)
        after_ns = _own_cpu_ns(tid)
        for layout in _LAYOUTS:
            if len(structure) < layout.tid + 4:
                continue
            cpu_ns = _number(structure, layout.cpu, "=Q")
            if before_ns <= cpu_ns <= after_ns and _number(structure, layout.tid, "=I") == tid:
                has_tgid = len(structure) >= layout.tgid + 4
                return layout, has_tgid and _number(structure, layout.tgid, "=I") == os.getpid()
        raise NotImplementedError("taskstats has an unknown layout")


def _find_family() -> int:
    """Return the number of the generic netlink family."""
    try:
        with TaskStats() as finder:
            finder.bind()
            return int(finder.prid)
    except NetlinkError as error:
        raise OSError(error.code, "the kernel has no taskstats") from error


def _own_cpu_ns(tid: int) -> int:
    return int(Path(f"/proc/self/task/{tid}/schedstat").read_text().split()[0])


def _number(structure: bytes, offset: int, code: str) -> int:
    return int(struct.unpack_from(code, structure, offset)[0])
