"""Queues are looked at from outside: all of them, or a random choice."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from profiler.asterisk.abi import MAGIC, MAGIC_OFFSET
from profiler.model.tasks import QueueLook
from profiler.tasks import queues
from profiler.tasks.queues import QueueLooks, SeenQueue

SECOND_NS = 1_000_000_000
SIZE_AT = 24


class Memory:
    """Queues by the address of their task processor."""

    def __init__(self, lengths: dict[int, int]) -> None:
        self.lengths = lengths
        self.gone: set[int] = set()
        self.reads = 0

    def read_many(self, addresses: list[int], length: int) -> list[bytes | None]:
        self.reads += len(addresses)
        assert length == SIZE_AT - MAGIC_OFFSET + 8
        return [self.object(address - MAGIC_OFFSET) for address in addresses]

    def object(self, processor: int) -> bytes | None:
        magic = 0 if processor in self.gone else MAGIC << 4
        before = magic.to_bytes(4, "little") + bytes(SIZE_AT - MAGIC_OFFSET - 4)
        return before + self.lengths[processor].to_bytes(8, "little", signed=True)

    def text(self, address: int, limit: int) -> str:
        return f"queue {address - 96}"


def looks(monkeypatch: pytest.MonkeyPatch, memory: Memory, variable: int | None = 1) -> QueueLooks:
    def found(*_: object) -> tuple[int, tuple[int, ...]]:
        return len(memory.lengths), tuple(memory.lengths)

    monkeypatch.setattr(queues, "task_processors", found)
    target: Any = SimpleNamespace(memory=memory, is_code=None)
    code: Any = SimpleNamespace(size_offset=SIZE_AT, name_offset=96, name_is_pointer=False)
    return QueueLooks(target, code, variable)


def test_what_waits_is_added_up_and_kept_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory({1000: 0, 2000: 5, 3000: 2})
    looked = looks(monkeypatch, memory)
    looked.look(SECOND_NS)
    memory.lengths[2000] = 0
    looked.look(2 * SECOND_NS)
    assert looked.looks() == (
        QueueLook(SECOND_NS, 3, 3, 7, 5),
        QueueLook(2 * SECOND_NS, 3, 3, 2, 2),
    )
    assert looked.queues() == {
        "queue 2000": SeenQueue(1, ((5, 1),)),
        "queue 3000": SeenQueue(2, ((2, 2),)),
    }


def test_waiting_for_a_cpu_puts_off_no_look_for_new_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory({1000: 1})
    looked = looks(monkeypatch, memory)

    def kept_waiting(*_: object) -> tuple[int, tuple[int, ...]]:
        time.sleep(0.05)
        return len(memory.lengths), tuple(memory.lengths)

    monkeypatch.setattr(queues, "task_processors", kept_waiting)
    looked.look(SECOND_NS)
    memory.lengths[2000] = 1
    looked.look(10 * SECOND_NS)
    assert [look.processors for look in looked.looks()] == [1, 2]


def test_of_many_some_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory({1000 + number: 1 for number in range(50_000)})
    looked = looks(monkeypatch, memory)
    looked.look(SECOND_NS)
    (look,) = looked.looks()
    assert (look.processors, look.looked_at) == (50_000, queues._MOST_LOOKED_AT)
    assert memory.reads == queues._MOST_LOOKED_AT


def test_what_is_gone_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory({1000: 3, 2000: 4})
    memory.gone.add(2000)
    looked = looks(monkeypatch, memory)
    looked.look(SECOND_NS)
    assert looked.looks() == (QueueLook(SECOND_NS, 2, 1, 3, 3),)
    assert looked.queues().keys() == {"queue 1000"}


def test_what_is_no_length_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = looks(monkeypatch, Memory({1000: -1, 2000: 1 << 60}))
    looked.look(SECOND_NS)
    assert looked.looks() == (QueueLook(SECOND_NS, 2, 2, 0, 0),)


def test_without_the_container_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = looks(monkeypatch, Memory({1000: 1}), variable=None)
    looked.look(SECOND_NS)
    assert (looked.looks(), looked.queues()) == ((), {})


def test_many_looks_are_halved_and_the_worse_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory({1000: 0})
    looked = looks(monkeypatch, memory)
    for second in range(queues._MOST_LOOKS + 1):
        memory.lengths[1000] = second % 2
        looked.look(second * SECOND_NS)
    assert len(looked.looks()) < queues._MOST_LOOKS
    assert sum(look.queued for look in looked.looks()) == queues._MOST_LOOKS // 2
