"""Fetches debug files by build id from the servers in DEBUGINFOD_URLS; without it, never.

Protocol: elfutils debuginfod(8), GET URL/buildid/HEX/debuginfo. What was fetched is kept in the
user's cache directory and checked again whenever it is used. A server that does not answer is not
asked again.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from profiler.background import Background
from profiler.binary.debug_files import OpenFile, open_with_build_id

SERVERS = "DEBUGINFOD_URLS"  # the environment's variable
TIMEOUT_S = 2.0  # without an answer, or without a further byte of the file: while a run ends
PATIENCE_S = 20.0  # the same where a user waits for names: servers unpack packages to find a file
TOTAL_TIMEOUT_S = 60.0  # for one file
ALL_FILES_TIMEOUT_S = 180.0
MAX_FILE_BYTES = 1 << 30
CHUNK_BYTES = 1 << 18
_BUILD_ID = re.compile(r"[0-9a-f]{8,128}")


class Debuginfod:
    """A client for the servers in `urls`, which are separated by spaces."""

    def __init__(self, urls: str, cache: Path, timeout_s: float | None = None) -> None:
        self._urls = [url.rstrip("/") for url in urls.split() if _is_web(url)]
        self._cache = cache
        self._timeout_s = TIMEOUT_S if timeout_s is None else timeout_s
        self._deadline_s: float | None = None  # of all files; None until one is asked for
        self.problems: list[str] = []  # what was wrong with servers, so far

    @classmethod
    def from_environment(cls, timeout_s: float | None = None) -> Debuginfod | None:
        """Return the client that the environment asks for, None when it asks for none."""
        urls = os.environ.get(SERVERS, "").strip()
        base = os.environ.get("XDG_CACHE_HOME", "")
        cache = Path(base) if base.startswith("/") else Path.home() / ".cache"
        return cls(urls, cache / "ebpf-prof" / "debuginfod", timeout_s) if urls else None

    def find(self, build_id: str) -> OpenFile | None:
        """Return the debug file with that build id, open; None when no server has it."""
        if not _BUILD_ID.fullmatch(build_id):
            return None
        path = self._cache / f"{build_id}.debug"
        known = open_with_build_id(path, build_id)
        if known is not None:
            return known
        if self._is_too_late():
            return None
        for url in tuple(self._urls):
            with suppress(OSError, ValueError):
                self._fetch(url, build_id, path)
                found = open_with_build_id(path, build_id)
                if found is not None:
                    return found
                path.unlink()
        return None

    def _is_too_late(self) -> bool:
        """Return whether all files together have taken too long; then no more are asked for."""
        now_s = time.monotonic()
        if self._deadline_s is None:
            self._deadline_s = now_s + ALL_FILES_TIMEOUT_S
        if now_s < self._deadline_s:
            return False
        if self._urls:
            self._urls.clear()
            self.problems.append(
                f"the debuginfod servers took more than {ALL_FILES_TIMEOUT_S:g} s and were not "
                "asked for the rest; what they sent is kept: ask again"
            )
        return True

    def _fetch(self, url: str, build_id: str, path: Path) -> None:
        self._cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Renamed only when whole; mkstemp follows no link that someone put there.
        with tempfile.NamedTemporaryFile(dir=self._cache, delete=False) as file:
            try:
                for chunk in self._download(url, build_id):
                    file.write(chunk)
                file.flush()
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink()
                raise

    def _download(self, url: str, build_id: str) -> Iterator[bytes]:
        """Yield a file of a server; OSError if it has none. One that fails is not asked again."""
        request = urllib.request.Request(
            f"{url}/buildid/{build_id}/debuginfo", headers={"User-Agent": "ebpf-prof"}
        )
        try:
            with _answer(request, self._timeout_s) as response:
                yield from _chunks(response)
        except HTTPError:  # an answer: it has no such file
            raise
        except (OSError, HTTPException) as error:
            self._urls.remove(url)
            self.problems.append(
                f"the debuginfod server {_host(url)} failed ({self._reason(error)}) and was not "
                "asked again: names that only it knows are missing; without DEBUGINFOD_URLS no "
                "server is asked"
            )
            raise OSError(f"{url} failed") from error

    def _reason(self, error: Exception) -> str:
        reason = error.reason if isinstance(error, URLError) else error
        if isinstance(reason, TimeoutError):
            return f"silent for {self._timeout_s:g} s"
        return getattr(reason, "strerror", None) or str(reason)


def _answer(request: urllib.request.Request, timeout_s: float) -> HTTPResponse:
    """Return the answer to a request; OSError when none has come in time."""

    def ask() -> HTTPResponse:
        answer: HTTPResponse = urllib.request.urlopen(request, timeout=timeout_s)
        return answer

    # Not only by the timeout of the connection: nothing bounds how long a name is looked up.
    return Background(ask).result(timeout_s)


def _chunks(response: HTTPResponse) -> Iterator[bytes]:
    deadline = time.monotonic() + TOTAL_TIMEOUT_S
    size = 0
    while chunk := response.read1(CHUNK_BYTES):
        size += len(chunk)
        if size > MAX_FILE_BYTES:
            raise ValueError(f"more than {MAX_FILE_BYTES} bytes")
        if time.monotonic() > deadline:
            raise OSError(f"one file takes more than {TOTAL_TIMEOUT_S:g} s")
        yield chunk


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]  # a password may stand before it


def _is_web(url: str) -> bool:
    return url.startswith(("http://", "https://"))
