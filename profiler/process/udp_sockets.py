"""Receive queues and drops of the target's UDP sockets: where a PBX that cannot keep up shows it.

Asked of the kernel by sock_diag in the target's network namespace; where that is not possible,
/proc/PID/net/udp is read, which shows the same. Drops of a socket after its last sample are unseen.
"""

from __future__ import annotations

import os
import re
import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from profiler.model import recording
from profiler.process.procfs import PROC

MAX_DESCRIPTORS = 1 << 17
MAX_SOCKETS = 1 << 17
LISTED_SOCKETS = 1000  # the worst; a busy PBX opens two for each call
_NETLINK_SOCK_DIAG = 4  # linux/netlink.h
_MOST_ANSWER_BYTES = 1 << 16
_ANSWER_S = 1.0
_MESSAGE_ERROR, _MESSAGE_DONE = 2, 3  # linux/netlink.h
_REQUEST, _DUMP = 0x1, 0x300  # flags, linux/netlink.h
_SOCK_DIAG_BY_FAMILY = 20  # linux/sock_diag.h
_ALL_STATES = 0xFFF  # as ss(8) asks for them
_HEADER = struct.Struct("=IHHII")
# linux/inet_diag.h, struct inet_diag_req_v2: family, protocol, extensions, states; no one socket.
_ASKED = struct.Struct("=BBBxI48x")
# linux/inet_diag.h: family and state, ports and addresses in network order, interface, cookie,
# then (after the expiry) receive queue, send queue, uid, inode.
_SOCKET = struct.Struct("=BB2x2s2s16s16sIQ4xIIII")
_ATTRIBUTE = struct.Struct("=HH")
_INET_DIAG_SKMEMINFO = 7
_SK_MEMINFO_DROPS = 8  # linux/sock_diag.h: index in an array of u32
_INODE = re.compile(r"socket:\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class SocketState:
    """One UDP socket at one time."""

    key: int  # distinguishes sockets even when the inode is used again
    inode: int
    local: str  # "127.0.0.1:5060", "[::]:5060"
    queue_bytes: int  # received and not yet read, as skb truesize
    drops: int  # since the socket was made


@dataclass(frozen=True, slots=True)
class SocketHistory:
    """What was seen of one socket inside the window."""

    local: str
    samples: int
    queue_bytes_sum: int
    queue_bytes_max: int
    drops_before: int
    drops_last: int

    def with_sample(self, state: SocketState) -> SocketHistory:
        """Return the history with one more sample."""
        return replace(
            self,
            local=state.local,  # a socket can be bound late
            samples=self.samples + 1,
            queue_bytes_sum=self.queue_bytes_sum + state.queue_bytes,
            queue_bytes_max=max(self.queue_bytes_max, state.queue_bytes),
            drops_last=state.drops,
        )


def recorded_sockets(histories: Iterable[SocketHistory]) -> tuple[recording.Socket, ...]:
    """Return what a recording keeps, worst first: by drops, then by the longest queue."""
    sockets = (
        recording.Socket(
            local=history.local,
            receive_queue_bytes_max=history.queue_bytes_max,
            receive_queue_bytes_mean=history.queue_bytes_sum / history.samples,
            # The kernel counts in 32 bits.
            drops=(history.drops_last - history.drops_before) % (1 << 32),
        )
        for history in histories
    )
    worst = sorted(sockets, key=lambda s: (-s.drops, -s.receive_queue_bytes_max, s.local))
    return tuple(worst[:LISTED_SOCKETS])


def decode_sockets(data: bytes) -> Iterator[SocketState]:
    """Yield the sockets in a datagram of sock_diag's answers; malformed ones are left out."""
    for kind, body in _messages(data):
        if kind == _SOCK_DIAG_BY_FAMILY and len(body) >= _SOCKET.size:
            fields = _SOCKET.unpack_from(body)
            family, port, address, cookie = fields[0], fields[2], fields[4], fields[7]
            if family in (socket.AF_INET, socket.AF_INET6):
                yield SocketState(
                    key=cookie,
                    inode=fields[11],
                    local=_local(family, address, int.from_bytes(port, "big")),
                    queue_bytes=fields[8],
                    drops=_drops(body[_SOCKET.size :]),
                )


def parse_proc_net(text: str) -> Iterator[SocketState]:
    """Yield the sockets of /proc/PID/net/udp or udp6; the inode is the key."""
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 13:
            continue
        address, _, port = fields[1].partition(":")
        words = bytes.fromhex(address)
        # Each 32-bit word is printed as a number of the host's byte order.
        raw = b"".join(words[at : at + 4][::-1] for at in range(0, len(words), 4))
        family = socket.AF_INET if len(raw) == 4 else socket.AF_INET6
        inode, queue = int(fields[9]), int(fields[4].partition(":")[2], 16)
        yield SocketState(inode, inode, _local(family, raw, int(port, 16)), queue, int(fields[12]))


def read_inodes(pid: int, proc: Path = PROC) -> frozenset[int]:
    """Return the inodes of the sockets that a process has open; of one that exits, some of them."""
    inodes = set()
    with suppress(OSError), os.scandir(proc / str(pid) / "fd") as entries:
        for entry in islice(entries, MAX_DESCRIPTORS):
            with suppress(OSError):  # it was closed
                if found := _INODE.fullmatch(os.readlink(entry.path)):  # noqa: PTH115  # faster
                    inodes.add(int(found[1]))
    return frozenset(inodes)


class UdpSockets:
    """Samples the target's UDP sockets: call sample() at the start, regularly, and at the end.

    `warning` is None, or says why /proc is read instead of asking sock_diag, or what is missing.
    """

    def __init__(self, pid: int) -> None:
        self.warning: str | None = None
        self._pid = pid
        self._histories: dict[int, SocketHistory] = {}
        self._foreign: set[int] = set()  # keys of other processes' sockets
        self._sampled = False
        self._diag: socket.socket | None = None
        try:
            self._diag = open_in_namespace(f"/proc/{pid}/ns/net")
            self._query()
        except OSError as error:
            self.warning = f"UDP sockets are read from /proc: {error}"
            self.close()

    def sample(self) -> None:
        """Take one sample of every socket."""
        states = self._states()
        known = self._histories.keys() | self._foreign
        inodes = read_inodes(self._pid) if any(s.key not in known for s in states) else frozenset()
        for state in states:
            history = self._histories.get(state.key)
            if history is None and state.inode in inodes:
                # A socket that appears inside the window has dropped nothing before it.
                before = 0 if self._sampled else state.drops
                history = SocketHistory(state.local, 0, 0, 0, before, before)
            if history is not None:
                self._histories[state.key] = history.with_sample(state)
            else:
                self._foreign.add(state.key)
        self._foreign &= {state.key for state in states}
        self._sampled = True

    def recorded(self) -> tuple[recording.Socket, ...]:
        """Return what was seen; of more than LISTED_SOCKETS the worst, and `warning` says so."""
        seen = len(self._histories)
        if seen > LISTED_SOCKETS and self.warning is None:
            listed = f"only the {LISTED_SOCKETS:,} with most drops and longest queues are listed"
            self.warning = f"of {seen:,} UDP sockets {listed}"
        return recorded_sockets(self._histories.values())

    def close(self) -> None:
        """Close the connection to the kernel."""
        if self._diag is not None:
            self._diag.close()
            self._diag = None

    def _states(self) -> list[SocketState]:
        if self._diag is None:
            return self._read_proc()
        try:
            return self._query()
        except OSError as error:
            self.warning = f"a sample of the UDP sockets is missing: {error}"
            return []

    def _query(self) -> list[SocketState]:
        assert self._diag is not None
        families = (socket.AF_INET, socket.AF_INET6)
        return [state for family in families for state in query_sockets(self._diag, family)]

    def _read_proc(self) -> list[SocketState]:
        states: list[SocketState] = []
        for name in ("udp", "udp6"):
            try:
                text = (PROC / str(self._pid) / "net" / name).read_text()
            except OSError:
                continue  # it exited, or has no IPv6
            states += parse_proc_net(text)
        return states[:MAX_SOCKETS]


def open_in_namespace(path: str) -> socket.socket:
    """Return a sock_diag connection in the network namespace at `path`; OSError if not permitted.

    A thread of its own enters the namespace and ends there: the socket stays in it, we do not.
    """
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_connect_in, path).result()


def _connect_in(path: str) -> socket.socket:
    with Path(path).open("rb", buffering=0) as namespace:
        if os.fstat(namespace.fileno()).st_ino != Path("/proc/self/ns/net").stat().st_ino:
            # Only here: it takes 0.13 s of CPU time and 22 MB, and most targets are in our own.
            from pyroute2 import netns

            netns.setns(namespace.fileno())
    connection = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG)
    try:
        connection.connect((0, 0))  # the kernel; so processes cannot send to it
        connection.settimeout(_ANSWER_S)
    except OSError:
        connection.close()
        raise
    return connection


def query_sockets(connection: socket.socket, family: int) -> list[SocketState]:
    """Return all UDP sockets of a family in the connection's namespace; OSError when refused."""
    connection.send(encode_request(family))
    states: list[SocketState] = []
    while True:
        data = connection.recv(_MOST_ANSWER_BYTES)
        if len(states) < MAX_SOCKETS:
            states += decode_sockets(data)
        for kind, body in _messages(data):
            if kind == _MESSAGE_ERROR:
                number = -int(struct.unpack_from("=i", body)[0])
                raise OSError(number, os.strerror(number))
            if kind == _MESSAGE_DONE:
                return states


def encode_request(family: int) -> bytes:
    """Return the message that asks sock_diag for all UDP sockets of a family, with their drops."""
    length = _HEADER.size + _ASKED.size
    header = _HEADER.pack(length, _SOCK_DIAG_BY_FAMILY, _REQUEST | _DUMP, 0, 0)
    extensions = 1 << (_INET_DIAG_SKMEMINFO - 1)
    return header + _ASKED.pack(family, socket.IPPROTO_UDP, extensions, _ALL_STATES)


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and payload of the netlink messages in a datagram."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, at)
        if length < _HEADER.size or at + length > len(data):
            return
        yield kind, data[at + _HEADER.size : at + length]
        at += (length + 3) & ~3


def _drops(attributes: bytes) -> int:
    at = 0
    while at + _ATTRIBUTE.size <= len(attributes):
        length, kind = _ATTRIBUTE.unpack_from(attributes, at)
        if length < _ATTRIBUTE.size:
            break
        end = at + 4 * (_SK_MEMINFO_DROPS + 2)
        if kind == _INET_DIAG_SKMEMINFO and at + length >= end and len(attributes) >= end:
            return int(struct.unpack_from("=I", attributes, end - 4)[0])
        at += (length + 3) & ~3
    return 0


def _local(family: int, address: bytes, port: int) -> str:
    if family == socket.AF_INET:
        return f"{socket.inet_ntop(family, address[:4])}:{port}"
    return f"[{socket.inet_ntop(family, address)}]:{port}"
