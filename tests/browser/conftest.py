"""Fixtures of the tests that open outputs in Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.browser.driver import Browser, chromium

SPEEDSCOPE = Path(__file__).parent / "node_modules" / "speedscope" / "dist" / "release"


@pytest.fixture(scope="session")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def browser(session: Browser) -> Browser:
    """Return the browser with a desktop's size, in light colours, and with empty logs."""
    session.open("about:blank")
    session.resize(1_280, 800)
    session.prefer("light")
    session.errors()
    session.requests()
    return session


@pytest.fixture(scope="session")
def speedscope() -> Path:
    """Return the folder of speedscope's own page and schema."""
    assert SPEEDSCOPE.is_dir(), "speedscope is missing: run 'npm ci' in tests/browser"
    return SPEEDSCOPE


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Keep requests out of the output of tests."""


@pytest.fixture
def serve() -> Iterator:
    """Return a function that serves a folder on this machine and returns its address."""
    servers = []

    def start(folder: Path) -> str:
        handler = partial(_QuietHandler, directory=str(folder))
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        servers.append(server)
        Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
