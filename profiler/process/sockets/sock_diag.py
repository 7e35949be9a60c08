"""UDP sockets of a network namespace: queues and drops, asked of the kernel by sock_diag.

parse_proc_net reads the same from /proc/PID/net/udp, for where the kernel refuses to answer.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAX_SOCKETS = 1 << 17
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
# The last attribute of a UDP socket (inet_sk_diag_fill() in net/ipv4/inet_diag.c, Linux 6.18), with
# the drops at its end.
_LAST = struct.Struct("=HH32xI")


@dataclass(frozen=True, slots=True)
class SocketState:
    """One UDP socket at one time."""

    key: int  # distinguishes sockets even when the inode is used again
    inode: int
    local: str  # "127.0.0.1:5060", "[::]:5060"
    queue_bytes: int  # received and not yet read, as skb truesize
    drops: int  # since the socket was made


class SocketDiag:
    """A connection to the kernel in the namespace at `path`; OSError if not permitted."""

    def __init__(self, path: str) -> None:
        self._connection = open_in_namespace(path)
        self._requests = [encode_request(family) for family in (socket.AF_INET, socket.AF_INET6)]
        self._states: dict[bytes, SocketState] = {}  # by message, of the last answer

    def query(self) -> list[SocketState]:
        """Return all UDP sockets there are; OSError when refused."""
        known, self._states = self._states, {}
        for request in self._requests:
            self._connection.send(request)
            for body in self._answers():
                # Most sockets are as they were: what is the same need not be decoded again.
                state = known.get(body) or decode_socket(body)
                if state is not None and len(self._states) < MAX_SOCKETS:
                    self._states[body] = state
        return list(self._states.values())

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _answers(self) -> Iterator[bytes]:
        while True:
            for kind, body in messages(self._connection.recv(_MOST_ANSWER_BYTES)):
                if kind == _SOCK_DIAG_BY_FAMILY:
                    yield body
                elif kind == _MESSAGE_ERROR:
                    number = -int(struct.unpack_from("=i", body)[0])
                    raise OSError(number, os.strerror(number))
                elif kind == _MESSAGE_DONE:
                    return


def decode_socket(body: bytes) -> SocketState | None:
    """Return the socket in a message of sock_diag without its header, None if it is malformed."""
    if len(body) < _SOCKET.size:
        return None
    family, _, port, _, address, _, _, cookie, queue_bytes, _, _, inode = _SOCKET.unpack_from(body)
    if family not in (socket.AF_INET, socket.AF_INET6):
        return None
    return SocketState(
        key=cookie,
        inode=inode,
        local=_local(family, address, int.from_bytes(port, "big")),
        queue_bytes=queue_bytes,
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


def open_in_namespace(path: str) -> socket.socket:
    """Return a sock_diag connection in a network namespace; OSError if not permitted."""
    with Path(path).open("rb", buffering=0) as namespace:
        if os.fstat(namespace.fileno()).st_ino == Path("/proc/self/ns/net").stat().st_ino:
            return _connect()
        return _connect_in(namespace.fileno())


def _connect_in(namespace: int) -> socket.socket:
    """Connect in another namespace.

    A thread of its own enters it and ends there: the socket stays in it, we do not.
    """
    # Only here: it takes 0.13 s of CPU time and 22 MB, and most targets are in our own.
    from concurrent.futures import ThreadPoolExecutor

    from pyroute2 import netns

    def enter() -> socket.socket:
        netns.setns(namespace)
        return _connect()

    try:
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(enter).result()
    except RuntimeError as error:  # all that Python says of a thread that cannot be
        raise OSError(errno.EAGAIN, str(error)) from error


def _connect() -> socket.socket:
    connection = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG)
    try:
        connection.connect((0, 0))  # the kernel; so processes cannot send to it
        connection.settimeout(_ANSWER_S)
    except OSError:
        connection.close()
        raise
    return connection


def encode_request(family: int) -> bytes:
    """Return the message that asks sock_diag for all UDP sockets of a family, with their drops."""
    length = _HEADER.size + _ASKED.size
    header = _HEADER.pack(length, _SOCK_DIAG_BY_FAMILY, _REQUEST | _DUMP, 0, 0)
    extensions = 1 << (_INET_DIAG_SKMEMINFO - 1)
    return header + _ASKED.pack(family, socket.IPPROTO_UDP, extensions, _ALL_STATES)


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and payload of the netlink messages in a datagram."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, at)
        if length < _HEADER.size or at + length > len(data):
            return
        yield kind, data[at + _HEADER.size : at + length]
        at += (length + 3) & ~3


def _drops(attributes: bytes) -> int:
    if len(attributes) >= _LAST.size:
        length, kind, drops = _LAST.unpack_from(attributes, len(attributes) - _LAST.size)
        if (length, kind) == (_LAST.size, _INET_DIAG_SKMEMINFO):
            return int(drops)
    at = 0  # it is elsewhere
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
