from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from profiler.binary import debuginfod
from profiler.binary.debuginfod import Debuginfod
from profiler.binary.elf import Elf
from tests.compiled import build

BUILD_ID = "00112233445566778899aabbccddeeff00112233"


class Server:
    """A debuginfod server on a free port, which counts what it is asked."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                data = outer.files.get(self.path)
                self.send_response(404 if data is None else 200)
                self.end_headers()
                self.wfile.write(data or b"")

            def log_message(self, *arguments: object) -> None:
                pass

        self.http = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    thread = threading.Thread(target=running.http.serve_forever)
    thread.start()
    yield running
    running.http.shutdown()
    thread.join()
    running.http.server_close()


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("program")
    return build(
        folder, "int main(void) { return 0; }", f"-Wl,--build-id=0x{BUILD_ID}"
    ).read_bytes()


def test_file_is_fetched_once_and_then_kept(server: Server, program: bytes, tmp_path: Path) -> None:
    server.files[f"/buildid/{BUILD_ID}/debuginfo"] = program
    client = Debuginfod(server.url, tmp_path / "cache")
    for _ in range(2):
        file = client.find(BUILD_ID)
        assert file is not None
        assert Elf.from_fd(file.fd).build_id == BUILD_ID
    assert server.asked == [f"/buildid/{BUILD_ID}/debuginfo"]
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700


def test_next_server_is_asked_when_one_has_nothing(
    server: Server, program: bytes, tmp_path: Path
) -> None:
    server.files[f"/second/buildid/{BUILD_ID}/debuginfo"] = program
    client = Debuginfod(f"{server.url}/first {server.url}/second/", tmp_path)
    assert client.find(BUILD_ID) is not None
    assert len(server.asked) == 2


def test_wrong_file_is_neither_used_nor_kept(server: Server, tmp_path: Path) -> None:
    server.files[f"/buildid/{BUILD_ID}/debuginfo"] = b"an error page"
    assert Debuginfod(server.url, tmp_path).find(BUILD_ID) is None
    assert list(tmp_path.iterdir()) == []


def test_file_beyond_the_bound_is_not_kept(
    server: Server, program: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debuginfod, "MAX_FILE_BYTES", 1000)
    server.files[f"/buildid/{BUILD_ID}/debuginfo"] = program
    assert Debuginfod(server.url, tmp_path).find(BUILD_ID) is None
    assert list(tmp_path.iterdir()) == []


def test_unreachable_server_is_reported(tmp_path: Path) -> None:
    client = Debuginfod("http://127.0.0.1:1", tmp_path)
    assert client.find(BUILD_ID) is None
    assert "server 127.0.0.1:1 failed (Connection refused)" in client.problems[0]


def test_no_password_is_reported(tmp_path: Path) -> None:
    client = Debuginfod("http://user:secret@127.0.0.1:1", tmp_path)
    client.find(BUILD_ID)
    assert "server 127.0.0.1:1 failed" in client.problems[0]


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A port that connections to are accepted on, and nobody answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listening:
        listening.setblocking(False)
        yield listening


def connections(listening: socket.socket) -> int:
    count = 0
    with suppress(BlockingIOError):
        while True:
            listening.accept()[0].close()
            count += 1
    return count


def test_a_silent_server_is_asked_once(
    silent: socket.socket,
    server: Server,
    program: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(debuginfod, "TIMEOUT_S", 0.1)
    server.files[f"/buildid/{BUILD_ID}/debuginfo"] = program
    client = Debuginfod(f"http://127.0.0.1:{silent.getsockname()[1]} {server.url}", tmp_path)
    other = BUILD_ID.replace("00", "99")
    assert client.find(other) is None
    assert client.find(BUILD_ID) is not None
    assert connections(silent) == 1
    assert server.asked == [f"/buildid/{each}/debuginfo" for each in (other, BUILD_ID)]
    (said,) = client.problems
    assert "failed (silent for 0.1 s) and was not asked again" in said


def test_who_waits_for_names_waits_longer(silent: socket.socket, tmp_path: Path) -> None:
    client = Debuginfod(f"http://127.0.0.1:{silent.getsockname()[1]}", tmp_path, 0.2)
    assert client.find(BUILD_ID) is None
    assert "failed (silent for 0.2 s)" in client.problems[0]


def test_all_files_together_are_bounded(
    server: Server, program: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_000.0]
    monkeypatch.setattr("profiler.binary.debuginfod.time.monotonic", lambda: now[0])
    server.files[f"/buildid/{BUILD_ID}/debuginfo"] = program
    client = Debuginfod(server.url, tmp_path)
    assert client.find(BUILD_ID) is not None
    now[0] += debuginfod.ALL_FILES_TIMEOUT_S
    others = [BUILD_ID.replace("00", other) for other in ("88", "99")]
    assert [client.find(other) for other in others] == [None, None]
    assert client.find(BUILD_ID) is not None  # it is kept
    assert len(server.asked) == 1
    (said,) = client.problems
    assert said.startswith("the debuginfod servers took more than 180 s and were not asked for")


def test_a_server_whose_name_nobody_looks_up_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()
    monkeypatch.setattr(debuginfod, "TIMEOUT_S", 0.1)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answered.wait() and [])
    client = Debuginfod("http://symbols.example", tmp_path)
    assert client.find(BUILD_ID) is None
    assert "symbols.example failed (silent for 0.1 s)" in client.problems[0]
    answered.set()


def test_a_server_that_has_nothing_is_asked_again(server: Server, tmp_path: Path) -> None:
    client = Debuginfod(server.url, tmp_path)
    assert client.find(BUILD_ID) is client.find(BUILD_ID) is None
    assert len(server.asked) == 2
    assert client.problems == []


def test_only_web_servers_and_build_ids_are_accepted(
    server: Server, program: bytes, tmp_path: Path
) -> None:
    (tmp_path / "buildid" / BUILD_ID).mkdir(parents=True)
    (tmp_path / "buildid" / BUILD_ID / "debuginfo").write_bytes(program)
    assert Debuginfod(f"file://{tmp_path}", tmp_path / "cache").find(BUILD_ID) is None
    assert Debuginfod(server.url, tmp_path / "cache").find("../../etc/passwd") is None
    assert server.asked == []


def test_without_the_variable_there_is_no_client(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("DEBUGINFOD_URLS", raising=False)
    assert Debuginfod.from_environment() is None
    monkeypatch.setenv("DEBUGINFOD_URLS", " ")
    assert Debuginfod.from_environment() is None
    monkeypatch.setenv("DEBUGINFOD_URLS", "http://127.0.0.1:1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Debuginfod.from_environment() is not None
