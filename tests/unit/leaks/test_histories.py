"""Histories of objects, made of events."""

from __future__ import annotations

from profiler.leaks.histories import Histories, ObservedObject, lost_changes, steps
from profiler.model.leaks import Fate, WatchWindow
from profiler.wire.leaks import ObjectPlace
from tests.unit.leaks.observing import birth, event, freed

FIRST, SECOND = WatchWindow(0, 100, 1), WatchWindow(200, 300, 1)


def of(*records: bytes) -> tuple[Histories, ObservedObject]:
    histories = Histories()
    for record in records:
        histories.add(record)
    return histories, histories.objects[0]


def deltas(observed: ObservedObject, *windows: WatchWindow) -> list[tuple[int, int, bool]]:
    """Return time, delta and whether it was seen, of each step."""
    return [(s.time_ns, s.delta, s.event is not None) for s in steps(observed, windows)]


def test_an_object_that_gives_back_its_last_reference_is_freed() -> None:
    histories, observed = of(birth(10), event(20, delta=1, before=1), event(30, delta=-1, before=2))
    assert histories.alive == [observed]
    histories.add(event(40, delta=-1, before=1))
    assert (histories.alive, observed.fate, observed.ended_ns) == ([], Fate.FREED, 40)
    assert observed.is_end_exact
    assert deltas(observed, FIRST) == [(20, 1, True), (30, -1, True), (40, -1, True)]


def test_what_comes_of_its_destruction_is_no_change() -> None:
    _, observed = of(birth(10), event(40, delta=-1, before=1), freed(41))
    assert (observed.ended_ns, deltas(observed, FIRST)) == (40, [(40, -1, True)])


def test_an_object_has_ended_where_two_threads_give_back_at_the_same_time() -> None:
    histories, observed = of(birth(10), event(20, delta=1, before=1), event(30, delta=-1, before=2))
    histories.add(event(31, delta=-1, before=2))
    assert (histories.alive, observed.fate, observed.ended_ns) == ([], Fate.FREED, 31)
    histories.add(event(50, delta=1, before=1))  # of another object at the address
    assert [time for time, _, _ in deltas(observed, FIRST)] == [20, 30, 31]


def test_so_it_has_after_a_time_in_which_nobody_looked() -> None:
    histories, observed = of(birth(10))
    for time_ns in (250, 251):
        histories.add(event(time_ns, delta=-1, before=2), watched_since_ns=SECOND.start_ns)
    assert (observed.fate, observed.ended_ns) == (Fate.FREED, 251)
    assert sum(delta for _, delta, _ in deltas(observed, FIRST, SECOND)) == -1


def test_an_object_of_which_changes_were_lost_may_live_on() -> None:
    _, observed = of(birth(10), event(30, delta=-1, before=2, size=1))
    assert observed.fate is Fate.ALIVE


def test_events_of_several_cpus_are_put_in_order() -> None:
    _, observed = of(birth(10), event(40, delta=-1, before=1), event(30, delta=-1, before=2))
    assert [time for time, _, _ in deltas(observed, FIRST)] == [30, 40]


def test_what_has_changed_since_the_last_look_is_known() -> None:
    histories, observed = of(birth(10))
    assert histories.changed == [observed]
    observed.ended_ns = 20  # a look
    assert not histories.changed
    histories.add(event(30, delta=1, before=1))
    assert histories.changed == [observed]
    histories.add(event(40, delta=-2, before=2))
    assert not histories.changed


def test_what_changed_while_nobody_looked_is_a_gap() -> None:
    _, observed = of(
        birth(10),
        event(50, delta=1, before=1),
        event(250, delta=-1, before=5),
    )
    observed.references, observed.ended_ns = 4, 290
    assert deltas(observed, FIRST, SECOND) == [(50, 1, True), (250, 3, False), (250, -1, True)]


def test_a_gap_is_shown_though_the_number_is_the_same() -> None:
    _, observed = of(birth(10), event(250, delta=1, before=1))
    observed.references, observed.ended_ns = 2, 290
    assert deltas(observed, FIRST, SECOND) == [(250, 0, False), (250, 1, True)]


def test_a_change_that_was_seen_while_its_window_was_closed_is_before_the_gap() -> None:
    _, observed = of(birth(10), event(101, delta=1, before=1), event(250, delta=-1, before=5))
    observed.references, observed.ended_ns = 4, 290
    assert deltas(observed, FIRST, SECOND)[1:] == [(101, 1, True), (250, 3, False), (250, -1, True)]


def test_a_look_after_the_last_window_ends_in_a_gap() -> None:
    _, observed = of(birth(10))
    observed.references, observed.ended_ns = 3, 900
    assert deltas(observed, FIRST, SECOND) == [(900, 2, False)]


def test_an_end_that_was_seen_while_references_were_not_gives_back_what_was_left() -> None:
    _, observed = of(birth(10), event(50, delta=1, before=1), freed(150))
    assert (observed.fate, observed.is_end_exact) == (Fate.FREED, True)
    assert deltas(observed, FIRST, SECOND) == [(50, 1, True), (150, -2, False)]


def test_links_change_no_references() -> None:
    link = event(20, ObjectPlace.LINK, before=1, container=0x99)
    _, observed = of(birth(10), link, event(21, delta=1, before=1))
    assert deltas(observed, FIRST)[:2] == [(20, 0, True), (21, 1, True)]


def test_a_birth_at_the_same_address_ends_what_was_there() -> None:
    histories, before = of(birth(10), birth(60, id=2))
    assert (before.fate, before.ended_ns, before.is_end_exact) == (Fate.FREED, 60, False)
    assert [observed.id for observed in histories.alive] == [2]


def test_events_of_an_object_whose_birth_was_lost_are_counted() -> None:
    histories, _ = of(birth(10), event(20, delta=1, before=1, id=7))
    assert histories.unmatched == 1


def test_of_a_lost_object_nothing_is_said_after_its_last_change() -> None:
    histories, observed = of(birth(10), event(20, delta=1, before=1))
    histories.end(observed, Fate.LOST, 500, is_exact=False)
    assert deltas(observed, FIRST) == [(20, 1, True)]


def test_changes_that_found_no_room_are_known_at_the_latest_at_its_end() -> None:
    _, observed = of(birth(10), event(40, delta=-1, before=1), freed(41, lost=3))
    assert (observed.ended_ns, observed.changes_lost) == (40, 3)


def test_an_end_that_nobody_saw_while_all_was_watched_was_lost() -> None:
    histories, observed = of(birth(10), event(20, delta=1, before=1))
    assert lost_changes(observed, (FIRST, SECOND)) == 0
    histories.end(observed, Fate.FREED, 50, is_exact=False)
    assert lost_changes(observed, (FIRST, SECOND)) == 1


def test_an_end_that_two_threads_did_not_see_coming_is_no_loss() -> None:
    histories, observed = of(birth(10), event(20, delta=1, before=1))
    for time in (30, 31):  # the second read the count before the first had changed it
        histories.add(event(time, delta=-1, before=2))
    histories.end(observed, Fate.FREED, 50, is_exact=False)
    assert lost_changes(observed, (FIRST, SECOND)) == 0


def test_an_end_while_nobody_looked_is_no_loss_nor_one_that_was_seen() -> None:
    histories, unseen = of(birth(10), event(20, delta=1, before=1))
    histories.end(unseen, Fate.FREED, 150, is_exact=False)
    _, seen = of(birth(10), freed(50, lost=3))
    assert lost_changes(unseen, (FIRST, SECOND)) == 0
    assert lost_changes(seen, (FIRST, SECOND)) == 3
