"""Who waits and where, in words: roles of threads, and the calls of a stack that tell. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from profiler.model.recording import Recording
from profiler.model.wait_words import is_telling
from profiler.report.threads.thread_roles import Role, own_frames

_OUTERMOST, _INNERMOST = 3, 4  # calls of a path: who asks for what, and where in it
_LEFT_OUT = "..."
_NAMED_LEAST = 2  # with so many names, calls without one tell nothing more


class WaitPaths:
    """Names threads by what they run, and stacks by the calls that tell where they are."""

    def __init__(
        self, recording: Recording, names: Sequence[str], roles: Mapping[int, Role]
    ) -> None:
        self._frames = recording.frames
        self._stacks = recording.stacks
        self._names = names
        self._own = own_frames(recording)
        self._roles = {use.tid: use.name for use in recording.threads}
        self._roles |= {tid: role.name for tid, role in roles.items() if role.is_named}
        self._known: dict[int, tuple[str, ...]] = {}

    def role(self, tid: int) -> str:
        """Return what a thread runs, else what it is called; its tid where it was not seen."""
        return self._roles.get(tid, f"thread {tid}")

    def path(self, stack: int | None) -> tuple[str, ...]:
        """Return the calls that tell where a stack is, outermost first."""
        if stack is None:
            return ()
        if stack not in self._known:
            self._known[stack] = self._calls(stack)
        return self._known[stack]

    def _calls(self, stack: int) -> tuple[str, ...]:
        found = self._stacks[stack]
        user = reversed(found.frames[found.kernel_count :])
        told = [at for at in user if self._own[at] and is_telling(self._names[at])]
        named = [at for at in told if self._frames[at].symbol is not None]
        shown = named if len(named) >= _NAMED_LEAST else self._in_files(told)
        return _shortened(tuple(self._names[at] for at in shown))

    def _in_files(self, frames: Sequence[int]) -> list[int]:
        """Return those that are in a file: an address elsewhere tells nobody anything."""
        return [at for at in frames if self._frames[at].file is not None]


def _shortened(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(names) <= _OUTERMOST + _INNERMOST:
        return names
    return (*names[:_OUTERMOST], _LEFT_OUT, *names[-_INNERMOST:])
