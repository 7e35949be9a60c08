from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink import NLM_F_DUMP, NLM_F_REQUEST
from pyroute2.netlink.diag import SOCK_DIAG_BY_FAMILY, SS_ALL, inet_diag_msg, inet_diag_req

from profiler.model.recording import Socket
from profiler.process import udp_sockets
from profiler.process.udp_sockets import (
    SocketHistory,
    SocketState,
    UdpSockets,
    decode_sockets,
    encode_request,
    parse_proc_net,
    read_inodes,
    recorded_sockets,
)


def overflow(receiver: socket.socket, datagrams: int) -> None:
    sender = socket.socket(receiver.family, socket.SOCK_DGRAM)
    for _ in range(datagrams):
        sender.sendto(b"x" * 500, receiver.getsockname()[:2])
    sender.close()


def bound(family: int, address: str) -> tuple[socket.socket, str]:
    receiver = socket.socket(family, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    receiver.bind((address, 0))
    name = f"[{address}]" if family == socket.AF_INET6 else address
    return receiver, f"{name}:{receiver.getsockname()[1]}"


def proc_row(receiver: socket.socket) -> tuple[int, int]:
    """Return queue and drops by /proc/net/udp or udp6."""
    name = "udp6" if receiver.family == socket.AF_INET6 else "udp"
    inode = str(os.fstat(receiver.fileno()).st_ino)
    for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[9] == inode:
            return int(fields[4].split(":")[1], 16), int(fields[12])
    raise AssertionError(inode)


@pytest.fixture(params=["sock_diag", "proc"])
def own(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[UdpSockets]:
    if request.param == "proc":

        def refuse(path: str) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(udp_sockets, "open_in_namespace", refuse)
    udp = UdpSockets(os.getpid())
    assert (udp.warning is None) == (request.param == "sock_diag")
    yield udp
    udp.close()


@pytest.mark.parametrize(
    ("family", "address"),
    [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::1")],
)
def test_queue_and_drops_of_an_overflowed_socket(
    own: UdpSockets, family: int, address: str
) -> None:
    receiver, local = bound(family, address)
    overflow(receiver, 50)  # before the window
    _, drops_before = proc_row(receiver)
    own.sample()
    overflow(receiver, 31)
    own.sample()
    queue, drops = proc_row(receiver)
    receiver.setblocking(False)
    while True:
        try:
            receiver.recv(2000)
        except BlockingIOError:
            break
    own.sample()
    (found,) = (s for s in own.recorded() if s.local == local)
    receiver.close()

    assert drops_before > 0
    assert queue > 0
    assert found == Socket(local, queue, queue * 2 / 3, 31)
    assert drops - drops_before == 31


def test_a_socket_of_the_window_counts_from_zero_and_stays_after_it_closed(
    own: UdpSockets,
) -> None:
    own.sample()
    receiver, local = bound(socket.AF_INET, "127.0.0.1")
    overflow(receiver, 40)
    _, drops = proc_row(receiver)
    own.sample()
    receiver.close()
    own.sample()

    (found,) = (s for s in own.recorded() if s.local == local)
    assert found.drops == drops > 0
    assert found.receive_queue_bytes_mean == found.receive_queue_bytes_max > 0


SERVER = """
import os, socket, sys
if sys.argv[1] == "new":
    import ctypes
    assert ctypes.CDLL(None).unshare(0x40000000) == 0  # CLONE_NEWNET
    os.system("ip link set lo up")
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
u.bind(("127.0.0.1", 0))
print(u.getsockname()[1], flush=True)
for line in sys.stdin:
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for _ in range(int(line)): sender.sendto(b"x" * 500, u.getsockname())
    sender.close()
    print("done", flush=True)
"""


@pytest.fixture
def server() -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []

    def run(namespace: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", SERVER, namespace]
        pipe = subprocess.PIPE
        processes.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True))
        return processes[-1]

    yield run
    for process in processes:
        process.kill()
        process.wait()


@pytest.mark.root
@pytest.mark.parametrize("namespace", ["same", "new"])
@pytest.mark.parametrize("source", ["sock_diag", "proc"])
def test_only_sockets_of_the_target_in_its_own_namespace(
    server: Callable[[str], subprocess.Popen[str]],
    namespace: str,
    source: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own_namespace = Path("/proc/self/ns/net").readlink()
    receiver, _ = bound(socket.AF_INET, "127.0.0.1")  # ours, not the target's
    process = server(namespace)
    assert process.stdin is not None
    assert process.stdout is not None
    local = f"127.0.0.1:{int(process.stdout.readline())}"
    if source == "proc":
        monkeypatch.setattr(udp_sockets, "_NETLINK_SOCK_DIAG", 31)  # no such protocol
    udp = UdpSockets(process.pid)
    udp.sample()
    process.stdin.write("60\n")
    process.stdin.flush()
    assert process.stdout.readline() == "done\n"
    udp.sample()
    found = udp.recorded()
    udp.close()
    receiver.close()

    assert (udp.warning is None) == (source == "sock_diag")
    assert [s.local for s in found] == [local]
    assert found[0].receive_queue_bytes_max > 0
    assert 0 < found[0].drops < 60
    assert Path("/proc/self/ns/net").readlink() == own_namespace
    assert threading.active_count() == 1


@pytest.mark.root
def test_nobody_but_the_kernel_can_answer() -> None:
    connection = udp_sockets.open_in_namespace("/proc/self/ns/net")
    sender = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4)  # NETLINK_SOCK_DIAG
    with pytest.raises(ConnectionRefusedError):
        sender.sendto(struct.pack("=IHHII", 16, 3, 0, 0, 0), connection.getsockname())
    sender.close()
    connection.close()


def test_of_more_sockets_than_are_listed_it_is_said_how_many_there_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(udp_sockets, "LISTED_SOCKETS", 2)
    open_ones = [bound(socket.AF_INET, "127.0.0.1")[0] for _ in range(2)]
    udp = UdpSockets(os.getpid())
    udp.sample()
    assert len(udp.recorded()) == 2
    assert udp.warning is None
    open_ones.append(bound(socket.AF_INET, "127.0.0.1")[0])
    udp.sample()
    assert len(udp.recorded()) == 2
    assert udp.warning == (
        "of 3 UDP sockets only the 2 with most drops and longest queues are listed"
    )
    udp.close()
    for receiver in open_ones:
        receiver.close()


def test_a_target_that_is_gone_has_no_sockets() -> None:
    udp = UdpSockets(2**22 + 1)
    udp.sample()
    assert udp.warning is not None
    assert udp.recorded() == ()
    assert read_inodes(2**22 + 1) == frozenset()


def test_inodes_are_those_of_open_sockets() -> None:
    left, right = socket.socketpair()
    inodes = {os.fstat(left.fileno()).st_ino, os.fstat(right.fileno()).st_ino}
    assert inodes <= read_inodes(os.getpid())
    left.close()
    right.close()
    assert not inodes & read_inodes(os.getpid())


def message(family: int, address: str, port: int, cookie: int, queue: int, drops: int) -> bytes:
    """Encode one answer of sock_diag, with an attribute that is not ours before the memory's."""
    words = struct.unpack(">4I", socket.inet_pton(family, address).ljust(16, b"\0"))
    header = struct.pack("=BBBB", family, 7, 0, 0) + struct.pack(
        ">HH4I4I", port, 0, *words, 0, 0, 0, 0
    )
    body = header + struct.pack("=IQIIIII", 0, cookie, 0, queue, 0, 0, 77)
    body += struct.pack("=HHB3x", 5, 8, 0)
    body += struct.pack("=HH9I", 40, 7, *[0] * 8, drops)
    return struct.pack("=IHHII", 16 + len(body), 20, 2, 0, 0) + body


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_the_request_is_encoded_as_pyroute2_does(family: int) -> None:
    theirs = inet_diag_req()
    theirs["header"]["type"] = SOCK_DIAG_BY_FAMILY
    theirs["header"]["flags"] = NLM_F_REQUEST | NLM_F_DUMP
    theirs["sdiag_family"] = family
    theirs["sdiag_protocol"] = socket.IPPROTO_UDP
    theirs["idiag_ext"] = 1 << 6
    theirs["idiag_states"] = SS_ALL
    theirs.encode()
    assert encode_request(family) == theirs.data


@given(
    st.sampled_from([(2, "192.0.2.1"), (10, "2001:db8::1")]),
    st.integers(0, 65535),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
)
def test_answers_are_decoded_as_pyroute2_does(
    place: tuple[int, str], port: int, cookie: int, queue: int, drops: int
) -> None:
    data = message(*place, port, cookie, queue, drops)
    (state,) = decode_sockets(data)
    theirs = inet_diag_msg(data)
    theirs.decode()

    local = f"[{place[1]}]:{port}" if place[0] == 10 else f"{place[1]}:{port}"
    assert state == SocketState(cookie, 77, local, queue, drops)
    assert theirs["idiag_src"] == place[1]
    assert (theirs["idiag_sport"], theirs["idiag_cookie"]) == (port, cookie)
    assert (theirs["idiag_rqueue"], theirs["idiag_inode"]) == (queue, 77)
    assert theirs.get_attr("INET_DIAG_SKMEMINFO").endswith(struct.pack("=I", drops).hex(":"))


@given(st.binary(max_size=300))
def test_any_bytes_are_decoded_without_failing(tail: bytes) -> None:
    whole = message(2, "192.0.2.1", 5060, 1, 2, 3)
    assert next(decode_sockets(whole + tail)).local == "192.0.2.1:5060"
    list(decode_sockets(tail))


def test_proc_net() -> None:
    v4 = (
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout"
        " inode ref pointer drops\n"
        " 5004: 0100007F:13C4 00000000:0000 07 00000000:00001E00 00:00000000 00000000   107"
        "        0 73657 2 00000000b59bdfe1 44\n"
    )
    v6 = v4.replace("0100007F:13C4", "B80D0120000000000000000001000000:13C5")
    if sys.byteorder == "little":
        assert list(parse_proc_net(v4)) == [SocketState(73657, 73657, "127.0.0.1:5060", 7680, 44)]
        assert [s.local for s in parse_proc_net(v6)] == ["[2001:db8::1]:5061"]
    assert list(parse_proc_net("header\n short line\n")) == []
    assert list(parse_proc_net("")) == []


def test_worst_sockets_first_and_a_counter_that_wrapped() -> None:
    def history(local: str, drops_before: int, drops: int, longest: int) -> SocketHistory:
        return SocketHistory(local, 2, longest, longest, drops_before, drops)

    assert recorded_sockets(
        [history("a:1", 5, 5, 10), history("b:2", 2**32 - 1, 2, 0), history("c:3", 1, 1, 20)]
    ) == (Socket("b:2", 0, 0.0, 3), Socket("c:3", 20, 10.0, 0), Socket("a:1", 10, 5.0, 0))
