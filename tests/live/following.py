"""Objects of an Asterisk followed for some seconds, and what holds of every recording."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

from lab.errors import LabError
from lab.instance import Instance
from profiler.asterisk.find import find_asterisk
from profiler.model.leaks import ChangeKind, Fate, FollowedObject, LeaksRecording
from profiler.probes.attach import VARIANTS, Variant
from profiler.record.leaks_recorder import LeaksOptions, record_leaks
from profiler.record.progress import Stop

SECOND_NS = 1_000_000_000
MOST_KEPT = 12  # containers of the module at the same time
NUMBERS = count()  # their names


@contextmanager
def busy(asterisk: Instance, *commands: str) -> Iterator[None]:
    """Run commands of the ground-truth module again and again; afterwards nothing is left."""
    ends = threading.Event()
    frees = commands[-1].startswith("free")
    kept: list[str] = []
    failures: list[LabError] = []

    def work() -> None:
        try:
            while not ends.wait(0.02 if frees else 0.3) and len(kept) < MOST_KEPT:
                name = f"leaks{next(NUMBERS)}"
                for command in commands:
                    asterisk.groundtruth(command.format(name))
                if not frees:
                    kept.append(name)
        except LabError as error:
            failures.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        ends.set()
        worker.join()
        for name in kept:
            asterisk.groundtruth(f"free {name}")
    assert not failures


def followed(
    asterisk: Instance,
    seconds: float,
    budget_ratio: float | None = None,
    variants: tuple[Variant, ...] = VARIANTS,
) -> LeaksRecording:
    """Follow what is born, without a budget if not said otherwise."""
    options = LeaksOptions(round(seconds * SECOND_NS), budget_ratio, variants=variants)
    untold: Callable[[object], None] = lambda _what: None  # noqa: E731
    return record_leaks(find_asterisk(asterisk.pid), options, Stop(), untold, untold)


def check(recording: LeaksRecording) -> None:
    """Whatever was followed: nothing is missing, and no history contradicts the memory."""
    births, changes = recording.birth_accounting, recording.change_accounting
    fates = Counter(one.fate for one in recording.objects)
    assert births.balanced() and births.kept == sum(fates.values()) > 0
    assert births.lost == 0, births
    assert births.fired == sum(born.born for born in recording.births)
    assert changes.balanced()
    seen = [c for one in recording.objects for c in one.history if c.kind is not ChangeKind.GAP]
    lost = sum(one.lost_changes for one in recording.objects)
    assert changes.fired >= len(seen) + lost
    assert [one for one in recording.objects if contradicts(one)] == []


def contradicts(one: FollowedObject) -> bool:
    """Return whether an object's history does not lead to what its memory showed."""
    if one.fate is Fate.LOST or one.lost_changes:
        return False
    return one.balance != (one.references or 0)


def of_function(recording: LeaksRecording, name: str) -> list[FollowedObject]:
    """Return the objects that one function allocates."""
    made = {
        index
        for index, kind in enumerate(recording.types)
        if recording.sites[kind.site].function == name
    }
    return [one for one in recording.objects if one.type in made]
