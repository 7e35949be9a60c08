from __future__ import annotations

import errno
import os
import select
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from profiler.linux.perf_ring import RECORD_LOST, RECORD_MMAP
from profiler.process import mapping_events
from profiler.process.mapping_events import MappingEvents
from tests.compiled import build

TARGET, OTHER = 4711, 4712


class Ring:
    """Holds the records of one CPU."""

    def __init__(self, event: int) -> None:
        self.event = event
        self.records: list[tuple[int, bytes]] = []
        self.is_closed = False

    def drain(self) -> list[tuple[int, bytes]]:
        records, self.records = self.records, []
        return records

    def close(self) -> None:
        self.is_closed = True


class Machine:
    """Its CPUs, and what is listened to on them."""

    def __init__(self) -> None:
        self.online = [0, 1]
        self.refused: set[int] = set()
        self.without_memory = False
        self.rings: list[Ring] = []
        self.opened: list[tuple[int, int]] = []

    def open(self, cpu: int) -> int:
        if cpu in self.refused:
            raise OSError(errno.EACCES, "refused")
        event = os.eventfd(0)
        self.opened.append((cpu, event))
        return event

    def ring(self, event: int) -> Ring:
        if self.without_memory:
            raise OSError(errno.EPERM, "too much locked memory")
        ring = Ring(event)
        self.rings.append(ring)
        return ring

    def maps(self, cpu: int, kind: int, pid: int) -> None:
        ring = self.rings[cpu]
        ring.records.append((kind, struct.pack("<IIQQQ", pid, pid, 0x1000, 0x1000, 0) + b"/x\0"))
        os.eventfd_write(ring.event, 1)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    monkeypatch.setattr(mapping_events, "online_cpus", lambda: made.online)
    monkeypatch.setattr(mapping_events, "open_code_mappings", made.open)
    monkeypatch.setattr(mapping_events, "PerfRing", made.ring)
    return made


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("kind", "pid", "has_mapped"),
    [(RECORD_MMAP, TARGET, True), (RECORD_MMAP, OTHER, False), (RECORD_LOST, OTHER, True)],
)
def test_mappings_of_the_target_and_lost_records_count(
    machine: Machine, kind: int, pid: int, has_mapped: bool
) -> None:
    events = MappingEvents(TARGET)
    assert not select.select([events.descriptor], (), (), 0)[0]
    machine.maps(1, kind, pid)
    assert select.select([events.descriptor], (), (), 0)[0]
    assert events.has_mapped() is has_mapped
    assert not events.has_mapped()
    events.close()


def test_every_ring_is_emptied_whichever_has_the_target(machine: Machine) -> None:
    events = MappingEvents(TARGET)
    machine.maps(0, RECORD_MMAP, TARGET)
    machine.maps(1, RECORD_MMAP, OTHER)
    assert events.has_mapped()
    assert [ring.records for ring in machine.rings] == [[], []]
    events.close()


def test_cpus_that_come_and_go_are_followed(machine: Machine) -> None:
    events = MappingEvents(TARGET)
    machine.online = [1, 2]
    events.follow_cpus()
    events.follow_cpus()
    assert [cpu for cpu, _ in machine.opened] == [0, 1, 2]
    assert [ring.is_closed for ring in machine.rings] == [True, False, False]
    events.close()
    assert all(ring.is_closed for ring in machine.rings)
    assert not any(is_open(event) for _, event in machine.opened)


def test_what_the_kernel_refuses_leaves_the_rest(machine: Machine) -> None:
    machine.refused = {0}
    events = MappingEvents(TARGET)
    assert [cpu for cpu, _ in machine.opened] == [1]
    machine.maps(0, RECORD_MMAP, TARGET)  # the only ring
    assert events.has_mapped()
    events.close()


def test_without_locked_memory_nothing_stays_open(machine: Machine) -> None:
    machine.without_memory = True
    events: Any = MappingEvents(TARGET)
    assert not events.has_mapped()
    assert not any(is_open(event) for _, event in machine.opened)
    events.close()


class Refusing:
    """Something to poll with that takes no event."""

    def fileno(self) -> int:
        return 0

    def register(self, _event: int, _mask: int) -> None:
        raise OSError(errno.EPERM, "refused")

    def close(self) -> None:
        pass


def test_where_nothing_may_be_polled_nothing_stays_open(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(select, "epoll", Refusing)
    events = MappingEvents(TARGET)
    assert [ring.is_closed for ring in machine.rings] == [True, True]
    assert not any(is_open(event) for _, event in machine.opened)
    assert not events.has_mapped()
    events.close()


LOADER = r"""
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
static void *load(void *unused) { return dlopen("libz.so.1", RTLD_NOW); }
int main(void)
{
    pthread_t thread;
    void *library = NULL;
    puts("ready");
    fflush(stdout);
    getchar();
    pthread_create(&thread, NULL, load, NULL);
    pthread_join(thread, &library);
    puts(library ? "loaded" : "refused");
    fflush(stdout);
    getchar();
    return 0;
}
"""


@pytest.mark.root
def test_a_library_that_a_thread_loads_is_reported_and_other_processes_are_not(
    tmp_path: Path,
) -> None:
    program = build(tmp_path, LOADER, "-pthread", "-ldl")
    with subprocess.Popen(
        [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        events = MappingEvents(process.pid)
        subprocess.run(["true"], check=True)
        assert select.select([events.descriptor], (), (), 10)[0]
        assert not events.has_mapped()
        process.stdin.write("x")
        process.stdin.flush()
        assert process.stdout.readline() == "loaded\n"
        assert events.has_mapped()
        events.close()
        process.kill()
