from __future__ import annotations

import socket
import struct
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink import NLM_F_DUMP, NLM_F_REQUEST
from pyroute2.netlink.diag import SOCK_DIAG_BY_FAMILY, SS_ALL, inet_diag_msg, inet_diag_req

from profiler.process.sockets import sock_diag
from profiler.process.sockets.sock_diag import (
    SocketState,
    decode_socket,
    encode_request,
    messages,
    parse_proc_net,
)

OTHER = struct.pack("=HHB3x", 5, 8, 0)  # an attribute that is not ours


@pytest.mark.root
def test_nobody_but_the_kernel_can_answer() -> None:
    connection = sock_diag.open_in_namespace("/proc/self/ns/net")
    sender = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4)  # NETLINK_SOCK_DIAG
    with pytest.raises(ConnectionRefusedError):
        sender.sendto(struct.pack("=IHHII", 16, 3, 0, 0, 0), connection.getsockname())
    sender.close()
    connection.close()


def message(
    family: int, address: str, port: int, cookie: int, queue: int, drops: int, behind: bytes = b""
) -> bytes:
    """Encode one answer of sock_diag, with another attribute before the memory's."""
    words = struct.unpack(">4I", socket.inet_pton(family, address).ljust(16, b"\0"))
    header = struct.pack("=BBBB", family, 7, 0, 0) + struct.pack(
        ">HH4I4I", port, 0, *words, 0, 0, 0, 0
    )
    body = header + struct.pack("=IQIIIII", 0, cookie, 0, queue, 0, 0, 77)
    body += OTHER + struct.pack("=HH9I", 40, 7, *[0] * 8, drops) + behind
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


def decoded(data: bytes) -> list[SocketState | None]:
    return [decode_socket(body) for _, body in messages(data)]


@given(
    st.sampled_from([(2, "192.0.2.1"), (10, "2001:db8::1")]),
    st.integers(0, 65535),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.sampled_from([b"", OTHER]),
)
def test_answers_are_decoded_as_pyroute2_does(
    place: tuple[int, str], port: int, cookie: int, queue: int, drops: int, behind: bytes
) -> None:
    data = message(*place, port, cookie, queue, drops, behind)
    (state,) = decoded(data)
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
    first = decoded(whole + tail)[0]
    assert first is not None
    assert first.local == "192.0.2.1:5060"
    decoded(tail)


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
