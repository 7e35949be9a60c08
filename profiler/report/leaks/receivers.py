"""Who got a reference and should have given it back. Pure.

Many functions return an object with the reference that they took: then one of their callers has it.
Which one is seen where others gave it back in a function that had called the one that took it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from profiler.model.leaks import LeaksRecording, Receiver
from profiler.model.recording import Stack
from profiler.report.leaks.leak_names import Names
from profiler.report.references.accounts import Account
from profiler.report.references.holdings import Holding
from profiler.report.references.overdue import Overdue


def receiver_of(
    recording: LeaksRecording, overdue: Overdue, stack: Sequence[str], names: Names
) -> Receiver | None:
    """Return who got the reference; None if nobody was seen who got it so and gave it back.

    `stack` is that from which most survivors took it.
    """
    calls = Counter(
        call for account, one in overdue.examples for call in _calls(recording, account, one)
    )
    ways: Counter[tuple[str, ...]] = Counter()
    for (taken_from, givers), count in calls.items():
        way = _way(recording.stacks[taken_from], givers, names)
        if way and tuple(stack[: len(way) - 1]) == way[:-1] and len(way) <= len(stack):
            ways[way] += count
    if not ways:
        return None
    depth = len(ways.most_common(1)[0][0]) - 1
    name = stack[depth]
    return Receiver(
        name=name,
        others=tuple(way[depth] for way, _ in ways.most_common() if len(way) == depth + 1),
        releases=tuple(names.sites[place] for place in _releases(recording, overdue, name)),
    )


def _calls(
    recording: LeaksRecording, account: Account, holding: Holding
) -> Iterator[tuple[int, frozenset[str]]]:
    """Yield the stacks from which a reference was taken, and the functions that gave it back."""
    steps = holding.history.steps
    givers = frozenset(
        recording.sites[step.place].function
        for step in steps
        if not step.is_taken and step.place in account.gives
    )
    for step in steps:
        if step.is_taken and step.place in account.takes and step.stack is not None:
            yield step.stack, givers


def _way(stack: Stack, givers: Collection[str], names: Names) -> tuple[str, ...]:
    """Return the calls from who took a reference up to who gave it back; () if that is not seen."""
    called = tuple(names.frames[frame] for frame in stack.frames)
    depth = next((at for at, name in enumerate(called) if _bare(name) in givers), None)
    return () if depth is None else called[: depth + 1]


def _releases(recording: LeaksRecording, overdue: Overdue, name: str) -> Iterator[int]:
    """Yield where that function gives back other references to such objects, most often first."""
    histories = {id(one.history): one.history for one in overdue.openings}
    histories |= {id(one.history): one.history for _, one in overdue.examples}
    places = Counter(
        step.place
        for history in histories.values()
        for step in history.steps
        if not step.is_taken
        and step.place not in overdue.account.gives
        and recording.sites[step.place].function == _bare(name)
    )
    yield from (place for place, _ in places.most_common())


def _bare(name: str) -> str:
    """Return a function's name as it passes it, whether it was inferred or not."""
    return name.lstrip("~")
