"""What can be seen of a target and of the kernel without the profiler's help."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import struct
import subprocess
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

# The names of our programs, as the kernel shortens them to 15 characters.
_OUR_PROGRAMS = (
    *("cpu_", "lookup_", "count_", "calibrate_"),
    *("offcpu_", "task_", "thread_", "object_"),
)
_LIBC = ctypes.CDLL(None, use_errno=True)
_SYS_BPF = 321
# BPF_PROG_GET_NEXT_ID and its like in enum bpf_cmd (include/uapi/linux/bpf.h, Linux 6.18)
_NEXT_ID = {"prog": 11, "map": 12, "link": 31}
_GRACE_S = 60.0
_CHUNK = 1 << 20


def objects(kind: str) -> list[dict[str, Any]]:
    """Return all programs, maps or links in the kernel, as bpftool describes them."""
    listing = ["bpftool", "-j", kind, "show"]
    done = subprocess.run(listing, capture_output=True)
    if done.returncode:  # as where one goes while they are listed
        done = subprocess.run(listing, check=True, capture_output=True)
    found: list[dict[str, Any]] = json.loads(done.stdout or b"[]")
    return found


def present() -> dict[str, set[int]]:
    """Return the ids of all programs, maps and links in the kernel.

    Asked of the kernel itself, because each test does so twice, and bpftool reads all of each.
    """
    return {kind: set(_ids(command)) for kind, command in _NEXT_ID.items()}


def _ids(command: int) -> Iterator[int]:
    attributes = ctypes.create_string_buffer(struct.calcsize("III"))  # id, the next one, flags
    while _LIBC.syscall(_SYS_BPF, command, attributes, len(attributes)) == 0:
        _, following, _ = struct.unpack("III", attributes)
        yield following
        struct.pack_into("I", attributes, 0, following)
    assert ctypes.get_errno() == errno.ENOENT, os.strerror(ctypes.get_errno())


def held() -> dict[str, set[int]]:
    """Return the ids of programs, maps and links that some process has open."""
    found: dict[str, set[int]] = {"prog": set(), "map": set(), "link": set()}
    for folder in Path("/proc").glob("[0-9]*/fdinfo"):
        for text in _texts(folder):
            for line in text.splitlines():
                key, _, value = line.partition(":\t")
                if key in ("prog_id", "map_id", "link_id"):
                    found[key.removesuffix("_id")].add(int(value))
    return found


def _texts(folder: Path) -> Iterator[str]:
    with suppress(OSError):
        for path in folder.iterdir():
            with suppress(OSError):
                yield path.read_text()


def leftovers(before: dict[str, set[int]]) -> dict[str, set[int]]:
    """Return the ids of what is in the kernel since, but open in no process.

    What an ended process had is freed by the kernel a moment later, so this waits for it.
    """
    deadline = time.monotonic() + _GRACE_S
    while True:
        left = {kind: ids - before[kind] for kind, ids in present().items()}
        if any(left.values()):  # telling whose they are takes far longer
            left = _abandoned(left)
        if not any(left.values()) or time.monotonic() > deadline:
            return left
        time.sleep(0.1)


def _abandoned(new: dict[str, set[int]]) -> dict[str, set[int]]:
    """Return those of new ids that are ours and open in no process."""
    opened = held()
    left = {kind: ids - opened[kind] for kind, ids in new.items()}
    if not any(left.values()):
        return left
    programs = objects("prog")
    left["prog"] &= {p["id"] for p in programs if p.get("name", "").startswith(_OUR_PROGRAMS)}
    left["map"] -= _not_ours(programs, left["prog"])
    return left


def _not_ours(programs: list[dict[str, Any]], left: set[int]) -> set[int]:
    """Return maps that are used by the programs of others, and those of a kernel's defect.

    When the last descriptor of a program array is closed, the kernel takes a reference and queues
    the work that gives it back; when that happens twice before the work runs, as it does when
    somebody lists maps at that moment, one reference is never given back (prog_array_map_clear in
    kernel/bpf/arraymap.c, Linux 6.18).
    """
    used = {m for p in programs if p["id"] not in left for m in p.get("map_ids", ())}
    return used | {m["id"] for m in objects("map") if m["type"] == "prog_array"}


def changed_code(pid: int) -> list[str]:
    """Return the addresses at which a process's code differs from the files that it mapped."""
    changed = []
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        words = line.split(None, 5)
        if "x" not in words[1] or words[4] == "0":
            continue
        start, end = (int(word, 16) for word in words[0].split("-"))
        offset = int(words[2], 16)
        with (
            Path(f"/proc/{pid}/mem").open("rb", 0) as memory,
            Path(f"/proc/{pid}/map_files/{start:x}-{end:x}").open("rb", 0) as file,
        ):
            for at in range(start, end, _CHUNK):
                size = min(_CHUNK, end - at)
                expected = os.pread(file.fileno(), size, offset + at - start)
                found = os.pread(memory.fileno(), len(expected), at)
                changed += [f"{at + i:x}" for i in _differences(found, expected)]
    return changed


def code_left(pid: int, seconds: float = _GRACE_S) -> list[str]:
    """Return the same when there was time to take probes back.

    Who lists links, as bpftool does, holds each for a moment, and its probes with it.
    """
    deadline = time.monotonic() + seconds
    while (changed := changed_code(pid)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return changed


def _differences(found: bytes, expected: bytes) -> list[int]:
    if found == expected:
        return []
    return [i for i, (a, b) in enumerate(zip(found, expected, strict=True)) if a != b]


class CpuWatch:
    """Reads the CPU time of a process and of every thread of it from /proc, again and again."""

    def __init__(self, pid: int, with_threads: bool = True) -> None:
        self._with_threads = with_threads
        self._folder = Path(f"/proc/{pid}/task")
        self._stat = Path(f"/proc/{pid}/stat")
        self._done = threading.Event()
        self.threads: dict[int, list[tuple[int, int]]] = {}  # tid: (monotonic ns, CPU ns)
        self.slices: dict[int, list[tuple[int, int]]] = {}  # tid: (monotonic ns, times on a CPU)
        self.process: list[tuple[int, int]] = []  # (monotonic ns, clock ticks)

    def look(self) -> None:
        for thread in self._folder.iterdir() if self._with_threads else ():
            with suppress(OSError, ValueError):
                cpu_ns, _, slices = map(int, (thread / "schedstat").read_text().split())
                now, tid = time.monotonic_ns(), int(thread.name)
                self.threads.setdefault(tid, []).append((now, cpu_ns))
                self.slices.setdefault(tid, []).append((now, slices))
        fields = self._stat.read_text().rsplit(")", 1)[1].split()
        self.process.append((time.monotonic_ns(), int(fields[11]) + int(fields[12])))

    def _loop(self) -> None:
        while not self._done.wait(0.02):
            self.look()

    @contextmanager
    def running(self) -> Iterator[None]:
        self.look()
        thread = threading.Thread(target=self._loop)
        thread.start()
        try:
            yield
        finally:
            self._done.set()
            thread.join()
            self.look()

    def thread_ns(self, tid: int, start_ns: int, end_ns: int) -> float:
        """Return what a thread used between two times."""
        readings = self.threads[tid]
        return _at(readings, end_ns) - _at(readings, start_ns)

    def switches(self, tid: int, start_ns: int, end_ns: int) -> float:
        """Return how often a thread was put on a CPU between two times."""
        return _at(self.slices[tid], end_ns) - _at(self.slices[tid], start_ns)

    def process_ns(self, start_ns: int, end_ns: int) -> float:
        tick_ns = 1e9 / os.sysconf("SC_CLK_TCK")
        return (_at(self.process, end_ns) - _at(self.process, start_ns)) * tick_ns


def _at(readings: list[tuple[int, int]], time_ns: int) -> float:
    """Return the value at a time, between the readings around it."""
    index = bisect_left(readings, (time_ns, 0))
    if index == 0:
        return readings[0][1]
    if index == len(readings):
        return readings[-1][1]
    (before_ns, before), (after_ns, after) = readings[index - 1 : index + 1]
    return before + (after - before) * (time_ns - before_ns) / (after_ns - before_ns)
