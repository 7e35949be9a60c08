from __future__ import annotations

from profiler.wire.tasks import EVENT, STATE, TaskEvent, TaskEventKind, TaskState


def test_an_event_is_read_as_it_was_packed() -> None:
    packed = EVENT.pack(1, 2, 3, 4, 5, -1, 7, 8, TaskEventKind.BEGIN, b"name")
    event = TaskEvent.decode(packed)
    assert event[:-1] == (1, 2, 3, 4, 5, -1, 7, 8, TaskEventKind.BEGIN)
    assert event.name.rstrip(b"\0") == b"name"


def test_all_probes_that_were_hit_are_events() -> None:
    state = TaskState.decode(STATE.pack(100, 1, 2, 4, 8, 16, 32, 64))
    assert state.events == 7
    assert (state.spent_ns, state.refused, state.lost) == (100, 8, 16)
    assert (state.used_up_ns, state.stopped_ns) == (32, 64)
