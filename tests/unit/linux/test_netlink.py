from __future__ import annotations

import socket
import struct
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.linux.netlink import ACCEPT, REJECT, KernelSocket, loaded

NETLINK_USERSOCK = 2


@given(st.integers(0, 2**32 - 1))
def test_a_loaded_word_is_big_endian(number: int) -> None:
    assert struct.pack(">I", loaded(number)) == number.to_bytes(4, sys.byteorder)


def test_a_protocol_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(OSError, match="not supported"):
        KernelSocket(31, 0, 4096)


def test_messages_of_processes_are_ignored_and_nothing_blocks() -> None:
    receiver = KernelSocket(NETLINK_USERSOCK, 0, 1 << 16)
    sender = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_USERSOCK)
    port = receiver._socket.getsockname()[0]
    sender.sendto(struct.pack("=IHHII", 16, 3, 0, 0, 0), (port, 0))

    assert receiver.receive() is None

    sender.close()
    receiver.close()


def test_filters_are_installed() -> None:
    connection = KernelSocket(NETLINK_USERSOCK, 0, 1 << 16)
    connection.accept_only([ACCEPT, REJECT])
    with pytest.raises(OSError, match="Invalid"):
        connection.accept_only([(0xFFFF, 0, 0, 0)])
    connection.close()
