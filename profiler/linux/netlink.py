"""A netlink socket that fits a poll loop and says when it lost something.

pyroute2 encodes and decodes the messages; its own sockets run an event loop that cannot be polled
from outside and that no longer works after one receive overflow (ENOBUFS, seen with 0.9.7).
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from collections.abc import Sequence
from typing import Any

_SO_ATTACH_FILTER = 26  # asm-generic/socket.h
_SO_RCVBUFFORCE = 33
_RECEIVE_BYTES = 1 << 16
_FILTER_INSTRUCTION = struct.Struct("=HBBI")  # struct sock_filter: code, jt, jf, k

FilterInstruction = tuple[int, int, int, int]

# Classic BPF, linux/bpf_common.h.
LOAD_WORD = 0x20  # BPF_LD | BPF_W | BPF_ABS
JUMP_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
RETURN = 0x06  # BPF_RET | BPF_K
ACCEPT: FilterInstruction = (RETURN, 0, 0, 0xFFFFFFFF)
REJECT: FilterInstruction = (RETURN, 0, 0, 0)


def loaded(number: int) -> int:
    """Return what LOAD_WORD makes of a number in host byte order: it loads big-endian words."""
    return int(struct.unpack(">I", struct.pack("=I", number))[0])


class KernelSocket:
    """Messages from the kernel; `overflows` counts how often it dropped some for lack of room."""

    def __init__(self, protocol: int, groups: int, buffer_bytes: int) -> None:
        """Open and bind; OSError when the kernel or a privilege is missing."""
        self.overflows = 0
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        try:
            self._socket.bind((0, groups))
            self._socket.setblocking(False)
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, buffer_bytes)
            except PermissionError:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """Return the descriptor to poll for input."""
        return self._socket.fileno()

    def accept_only(self, instructions: Sequence[FilterInstruction]) -> None:
        """Let the kernel drop every message that this classic BPF program rejects.

        What is dropped here wakes nobody, and does not fill the buffer.
        """
        code = b"".join(_FILTER_INSTRUCTION.pack(*instruction) for instruction in instructions)
        buffer = ctypes.create_string_buffer(code, len(code))
        program = struct.pack("@HP", len(instructions), ctypes.addressof(buffer))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)

    def send(self, message: Any, message_type: int, flags: int) -> None:
        """Encode a pyroute2 message and send it to the kernel."""
        message["header"]["type"] = message_type
        message["header"]["flags"] = flags
        message["header"]["pid"] = self._socket.getsockname()[0]
        message.encode()
        self._socket.send(message.data)

    def receive(self) -> bytes | None:
        """Return the next datagram of the kernel, None when there is none now."""
        while True:
            try:
                data, sender = self._socket.recvfrom(_RECEIVE_BYTES)
            except BlockingIOError:
                return None
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self.overflows += 1
                continue
            if sender[0] == 0:  # the kernel; processes could send too
                return data

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
