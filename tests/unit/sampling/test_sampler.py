from __future__ import annotations

import errno
import os
import struct
from types import SimpleNamespace
from typing import cast

import pytest

from profiler.errors import KernelError
from profiler.linux import perf_events
from profiler.linux.bpf import VerifierError
from profiler.linux.module import BpfModule, Program
from profiler.sampling import sampler
from profiler.sampling.bounded_samples import BoundedSamples
from profiler.sampling.sampler import CpuSampler, ring_bytes
from profiler.unwind.stacks import UnwoundStacks
from profiler.wire.unwind import STACK_HEAD, WHOLE

PERIOD_NS = 10_000_000


class Machine:
    """CPUs that come and go, and the events that are opened on them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.online = [0, 1, 4]
        self.opened: list[int] = []
        self.closed: list[int] = []
        self.error: OSError | None = None
        self.program_error: OSError | None = None
        monkeypatch.setattr(sampler, "online_cpus", lambda: self.online)
        monkeypatch.setattr(perf_events, "open_cpu_clock", self.open)
        monkeypatch.setattr(perf_events, "run_program_on", self.run_program)
        monkeypatch.setattr(os, "close", self.closed.append)
        self.sampler = CpuSampler.__new__(CpuSampler)
        self.sampler._period_ns = PERIOD_NS
        self.sampler._program = SimpleNamespace(descriptor=7)  # type: ignore[assignment]
        self.sampler._events = {}
        self.sampler.warning = None

    def open(self, period_ns: int, cpu: int) -> int:
        if self.error is not None:
            raise self.error
        assert period_ns == PERIOD_NS
        self.opened.append(cpu)
        return 1000 + cpu

    def run_program(self, event: int, program: int) -> None:
        if self.program_error is not None:
            raise self.program_error
        assert (event - 1000, program) == (self.opened[-1], 7)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def test_each_cpu_gets_an_event_until_the_end(machine: Machine) -> None:
    machine.sampler.attach()
    machine.sampler.follow_cpus()
    assert machine.opened == [0, 1, 4]
    assert machine.closed == []
    for _ in range(2):
        machine.sampler.detach()
    assert machine.closed == [1000, 1001, 1004]
    assert machine.sampler.warning is None


def test_cpus_that_come_get_an_event_also_those_that_were_away(machine: Machine) -> None:
    machine.sampler.attach()
    for machine.online in ([0, 4, 5], [0, 1, 4, 5]):
        machine.sampler.follow_cpus()
    assert machine.opened == [0, 1, 4, 5, 1]
    assert machine.closed == [1001]


def test_cpus_that_go_while_we_attach_are_left_out(machine: Machine) -> None:
    machine.error = OSError(errno.ENODEV, "No such device")
    machine.sampler.attach()
    machine.sampler.detach()
    assert machine.closed == []


def test_events_that_cannot_be_opened(machine: Machine) -> None:
    machine.error = OSError(errno.EPERM, "no")
    with pytest.raises(KernelError, match="cannot sample CPU 0: no") as refused:
        machine.sampler.attach()
    assert refused.value.hint == "ebpf-prof doctor"


def test_an_event_that_runs_no_program_is_closed(machine: Machine) -> None:
    machine.program_error = OSError(errno.EINVAL, "no")
    with pytest.raises(KernelError, match="cannot sample CPU 0: no"):
        machine.sampler.attach()
    assert machine.closed == [1000]


def test_what_is_refused_later_does_not_end_the_recording(machine: Machine) -> None:
    machine.sampler.attach()
    machine.online.append(5)
    machine.error = OSError(errno.EMFILE, "Too many open files")
    for _ in range(2):
        machine.sampler.follow_cpus()
    assert machine.sampler.warning == (
        "work on some CPUs has no samples: cannot sample CPU 5: Too many open files"
    )
    machine.sampler.detach()
    assert machine.closed == [1000, 1001, 1004]


class Refusing:
    """A module whose programs the verifier does not like."""

    def load(self, name: str, program_type: int) -> Program:
        raise VerifierError(errno.EACCES, "")


def test_a_program_that_the_kernel_refuses_is_an_error_of_the_kernel() -> None:
    with pytest.raises(KernelError, match="program that samples: Permission denied") as refused:
        CpuSampler(cast(BpfModule, Refusing()), 99.0)
    assert refused.value.hint == "ebpf-prof doctor"


class Ring:
    """What the programs send, and the table of what they know as sent."""

    def __init__(self, most: int = 4) -> None:
        self.records: list[bytes] = []
        self.sent: set[int] = set()
        self.fired = self.truncated = 0
        self.sampler = CpuSampler.__new__(CpuSampler)
        self.sampler._ring = self  # type: ignore[assignment]
        self.sampler._sent = self  # type: ignore[assignment]
        self.sampler._of_lookups = set()
        self.sampler._nameless = 0
        self.sampler.samples = BoundedSamples(most)
        self.sampler.stacks = UnwoundStacks()
        self.sampler._most_stacks = 2 * most
        self.sampler._most_addresses = 1 << 32
        self.sampler._count = self.count  # type: ignore[method-assign]

    def send(self, stack: int, time_ns: int = 1, cause: int = WHOLE) -> None:
        """Take a sample, or, at no time, the stack of a lookup."""
        is_known = stack in self.sent
        self.sent.add(stack)
        self.fired += time_ns > 0
        self.truncated += time_ns > 0 and cause != WHOLE
        head = STACK_HEAD.pack(stack, 0, time_ns, 7, 1, 0, cause, 1, 0)
        if time_ns or not is_known:
            self.records.append(head if is_known else head + struct.pack("<Q", stack))

    def drain(self) -> list[bytes]:
        records, self.records = self.records, []
        return records

    def __len__(self) -> int:
        return 8

    def __setitem__(self, place: slice, zeroes: bytes) -> None:
        assert zeroes == bytes(8)
        self.sent.clear()

    def count(self, name: str) -> int:
        whole = self.fired - self.truncated
        return {"fired": self.fired, "kept": whole, "truncated": self.truncated}.get(name, 0)


def test_samples_find_the_stacks_that_came_before() -> None:
    ring = Ring()
    ring.send(5)
    ring.sampler.drain()
    ring.send(5, time_ns=2)
    ring.sampler.drain()
    assert ring.sampler.samples.kept == [(1, 5, 7), (2, 5, 7)]
    assert ring.sampler.stacks[5].frames == (5,)
    assert (ring.sampler.accounting().kept, ring.sampler.accounting().lost) == (2, 0)


def test_a_lookups_stack_is_no_sample() -> None:
    ring = Ring()
    ring.send(5, time_ns=0)
    ring.sampler.drain()
    assert ring.sampler.samples.kept == []
    assert 5 in ring.sampler.stacks


def test_a_sample_without_its_stack_is_lost() -> None:
    ring = Ring()
    ring.sent.add(5)
    ring.send(5)
    ring.sampler.drain()
    accounting = ring.sampler.accounting()
    assert (accounting.fired, accounting.kept, accounting.lost) == (1, 0, 1)


def test_stacks_of_samples_that_are_not_kept_are_forgotten_and_sent_anew() -> None:
    ring = Ring(most=100)
    ring.send(1, time_ns=0)
    for number in range(2, 1000):
        ring.send(number)
        ring.sampler.drain()
        assert len(ring.sampler.stacks) <= 200
    names = {stack for _, stack, _ in ring.sampler.samples.kept}
    assert set(ring.sampler.stacks) >= names | {1}
    for number in range(2, 1000):
        ring.send(number)
        ring.sampler.drain()
    accounting = ring.sampler.accounting()
    assert accounting.balanced()
    assert accounting.lost == 0


@pytest.mark.parametrize("most", [250, 50])
def test_addresses_are_forgotten_but_not_at_every_look(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(sampler, "_ADDRESSES_MAX", most)
    ring = Ring(most=100)
    ring.sampler._most_stacks = 1 << 32
    ring.sampler._most_addresses = most
    clears = 0
    for number in range(1, 1000):
        ring.send(number)
        ring.sampler.drain()
        clears += not ring.sent
        assert ring.sampler.stacks.address_count <= max(most, 2 * 100)
    assert 0 < clears < 20
    assert ring.sampler.accounting().lost == 0


def test_truncated_samples_are_left_out_like_others() -> None:
    ring = Ring(most=100)
    for number in range(1000):
        ring.send(1 + number % 2, cause=WHOLE + number % 2)
    ring.sampler.drain()
    accounting = ring.sampler.accounting()
    assert accounting.balanced()
    truncated = sum(stack == 2 for _, stack, _ in ring.sampler.samples.kept)
    assert 0 < truncated == accounting.truncated < 100
    assert accounting.kept == len(ring.sampler.samples.kept) - truncated


@pytest.mark.parametrize(
    ("frequency_hz", "cpus", "size"),
    [(99, 2, 1 << 20), (2000, 2, 1 << 24), (99, 64, 1 << 25), (4000, 64, 1 << 26)],
)
def test_the_ring_has_room_for_some_seconds(frequency_hz: float, cpus: int, size: int) -> None:
    assert ring_bytes(frequency_hz, cpus) == size
