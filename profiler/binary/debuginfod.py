"""Fetches debug files by build id from the servers in DEBUGINFOD_URLS; without it, never.

Protocol: elfutils debuginfod(8), GET URL/buildid/HEX/debuginfo. What was fetched is kept in the
user's cache directory and checked again whenever it is used.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from profiler.binary.debug_files import OpenFile, open_with_build_id

TIMEOUT_S = 10.0  # without a byte from the server
TOTAL_TIMEOUT_S = 60.0
MAX_FILE_BYTES = 1 << 30
CHUNK_BYTES = 1 << 18
_BUILD_ID = re.compile(r"[0-9a-f]{8,128}")


class Debuginfod:
    """A client for the servers in `urls`, which are separated by spaces."""

    def __init__(self, urls: str, cache: Path) -> None:
        self._urls = tuple(url.rstrip("/") for url in urls.split() if _is_web(url))
        self._cache = cache

    @classmethod
    def from_environment(cls) -> Debuginfod | None:
        """Return the client that the environment asks for, None when it asks for none."""
        urls = os.environ.get("DEBUGINFOD_URLS", "").strip()
        base = os.environ.get("XDG_CACHE_HOME", "")
        cache = Path(base) if base.startswith("/") else Path.home() / ".cache"
        return cls(urls, cache / "ebpf-prof" / "debuginfod") if urls else None

    def find(self, build_id: str) -> OpenFile | None:
        """Return the debug file with that build id, open; None when no server has it."""
        if not _BUILD_ID.fullmatch(build_id):
            return None
        path = self._cache / f"{build_id}.debug"
        known = open_with_build_id(path, build_id)
        if known is not None:
            return known
        for url in self._urls:
            with contextlib.suppress(OSError, HTTPException, ValueError):
                self._fetch(f"{url}/buildid/{build_id}/debuginfo", path)
                found = open_with_build_id(path, build_id)
                if found is not None:
                    return found
                path.unlink()
        return None

    def _fetch(self, url: str, path: Path) -> None:
        self._cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        request = urllib.request.Request(url, headers={"User-Agent": "ebpf-prof"})
        with (
            urllib.request.urlopen(request, timeout=TIMEOUT_S) as response,
            # Renamed only when whole; mkstemp follows no link that someone put there.
            tempfile.NamedTemporaryFile(dir=self._cache, delete=False) as file,
        ):
            try:
                for chunk in _chunks(response):
                    file.write(chunk)
                file.flush()
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink()
                raise


def _chunks(response: HTTPResponse) -> Iterator[bytes]:
    deadline = time.monotonic() + TOTAL_TIMEOUT_S
    size = 0
    while chunk := response.read(CHUNK_BYTES):
        size += len(chunk)
        if size > MAX_FILE_BYTES:
            raise ValueError(f"more than {MAX_FILE_BYTES} bytes")
        if time.monotonic() > deadline:
            raise TimeoutError("too slow")
        yield chunk


def _is_web(url: str) -> bool:
    return url.startswith(("http://", "https://"))
