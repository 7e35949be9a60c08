"""Who got a reference and should have given it back. Pure.

Many functions return an object with the reference that they took: then one of their callers has it.
Which one is seen where others gave it back in a function that had called the one that took it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from profiler.model.leaks import LeaksRecording, Receiver
from profiler.report.accounts import Account
from profiler.report.holdings import Holding
from profiler.report.leak_names import Names
from profiler.report.overdue import Overdue


def receiver_of(
    recording: LeaksRecording, overdue: Overdue, stack: Sequence[str], names: Names
) -> Receiver | None:
    """Return who got the reference; None if nobody was seen who got it so and gave it back.

    `stack` is that from which most survivors took it.
    """
    ways = Counter(
        way
        for account, holding in overdue.examples
        for way in _ways(recording, account, holding, names)
        if tuple(stack[: len(way) - 1]) == way[:-1] and len(way) <= len(stack)
    )
    if not ways:
        return None
    depth = len(ways.most_common(1)[0][0]) - 1
    name = stack[depth]
    return Receiver(
        name=name,
        others=tuple(way[depth] for way, _ in ways.most_common() if len(way) == depth + 1),
        releases=tuple(names.sites[place] for place in _releases(recording, overdue, name)),
    )


def _ways(
    recording: LeaksRecording, account: Account, holding: Holding, names: Names
) -> Iterator[tuple[str, ...]]:
    """Yield the calls from who took a reference up to who gave it back."""
    steps = holding.history.steps
    givers = {
        recording.sites[step.place].function
        for step in steps
        if not step.is_taken and step.place in account.gives
    }
    for step in steps:
        if not step.is_taken or step.place not in account.takes or step.stack is None:
            continue
        stack = tuple(names.frames[frame] for frame in recording.stacks[step.stack].frames)
        depth = next((at for at, name in enumerate(stack) if _bare(name) in givers), None)
        if depth is not None:
            yield stack[: depth + 1]


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
