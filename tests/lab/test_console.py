import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import console


def serve(path: Path, answer: Callable[[socket.socket, bytes], None]) -> threading.Thread:
    """Answer one connection at path the way Asterisk does."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1)

    def run() -> None:
        connection, _peer = listener.accept()
        with connection, listener:
            connection.sendall(b"host/42/16.28\n")
            answer(connection, connection.recv(1024))

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_the_answer_comes_without_greeting_and_colours(tmp_path: Path) -> None:
    received = []

    def answer(connection: socket.socket, command: bytes) -> None:
        received.append(command)
        connection.sendall(b"\x1b[1;31mred\x1b[0m\n\x7f\x01loud\n")

    thread = serve(tmp_path / "ctl", answer)
    assert console.ask(tmp_path / "ctl", "core show uptime", 5) == "red\nloud\n"
    thread.join()
    assert received == [b"cli quit after core show uptime\0"]


def test_a_long_path_is_no_obstacle(tmp_path: Path) -> None:
    place = tmp_path / ("long" * 30)
    place.mkdir()
    (tmp_path / "short").symlink_to(place)
    thread = serve(tmp_path / "short/ctl", lambda connection, command: connection.sendall(b"yes"))
    assert console.ask(place / "ctl", "x", 5) == "yes"
    thread.join()


def test_silence_ends_with_the_time(tmp_path: Path) -> None:
    over = threading.Event()

    def stay_silent(connection: socket.socket, command: bytes) -> None:
        over.wait(60)

    thread = serve(tmp_path / "ctl", stay_silent)
    with pytest.raises(TimeoutError):
        console.ask(tmp_path / "ctl", "x", 0.1)
    over.set()
    thread.join()


def test_nobody_listening_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        console.ask(tmp_path / "ctl", "x", 1)
