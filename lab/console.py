"""Asterisk's command line, spoken over its control socket.

The protocol is that of `asterisk -rx` (main/asterisk.c, ast_remotecontrol and netconsole): the
server greets with one line, then answers `cli quit after COMMAND` and closes.
"""

import os
import re
import socket
import time
from pathlib import Path

PREFIX = b"cli quit after "
# A level mark that Asterisk puts before verbose lines, and terminal colours.
DECORATION = re.compile(rb"\x7f.|\x1b\[[0-9;]*[A-Za-z]")
LIMIT_BYTES = 256 << 20


def connect(path: Path, seconds: float) -> socket.socket:
    """Return a connection to the socket at path, however long the path is."""
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(seconds)
        try:
            connection.connect(f"/proc/self/fd/{directory}/{path.name}")
        except OSError:
            connection.close()
            raise
        return connection
    finally:
        os.close(directory)


def ask(path: Path, command: str, seconds: float) -> str:
    """Return the answer to one command; raise OSError (TimeoutError) when none comes in time."""
    deadline = time.monotonic() + seconds
    with connect(path, seconds) as connection:
        connection.sendall(PREFIX + command.encode() + b"\0")
        received = bytearray()
        while len(received) < LIMIT_BYTES:
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            chunk = connection.recv(1 << 16)
            if not chunk:
                break
            received += chunk
    return parse_answer(bytes(received))


def parse_answer(received: bytes) -> str:
    """Return what follows the greeting line, without marks and colours."""
    _greeting, _newline, answer = received.partition(b"\n")
    return DECORATION.sub(b"", answer).decode(errors="replace")
