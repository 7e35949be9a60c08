"""Where traversals have their frames, and whether that makes a probe on traverse_first needless.

The programs learn how far below an entry function's return address traversals have their frame,
from what reaches traverse_first; in one build it is the same for every lookup by that function.
Once it is known, a window can do without that probe: where a count depends on the traversal's
state, the programs read it where it must be, and it is not verified unless it is this lookup's.
"""

from __future__ import annotations

import struct
from collections.abc import Set

from profiler.linux.module import BpfModule
from profiler.wire.lookups import TraversalFrame, Verdict

# One window of so many has the probe nevertheless, so that kinds of lookups that cannot be known by
# their frames are counted exactly, too.
PROBE_EVERY = 16
# The container's head is read before the lookup has the lock. Where more than this part of the
# counts cannot be verified for that, the probe comes back.
DOUBTFUL_RATIO = 0.01
# Fewer say nothing about the part.
_LEAST_DOUBTFUL = 8
# While there were fewer lookups, the probe costs next to nothing, and each of them counts.
_LEAST_LOOKUPS = 100
_DOUBTS = (Verdict.UNVERIFIED_START, Verdict.UNVERIFIED_CHANGE)
_NO_VERDICTS = (0,) * len(Verdict)


class TraversalFrames:
    """What is known of the frames, window by window."""

    def __init__(self, module: BpfModule, is_possible: bool) -> None:
        self._module = module
        self._is_possible = is_possible  # in this build, by these programs
        self._entries: Set[int] = frozenset()
        self._known: Set[int] = frozenset()
        self._last = _NO_VERDICTS
        self._predicted = self._doubtful = 0

    @property
    def are_known(self) -> bool:
        """Return whether those of all lookups seen so far are known, and were of use."""
        return self._is_possible and bool(self._entries) and self._entries <= self._known

    def suffice_in(self, window: int) -> bool:
        """Return whether the probe can be left out in a window, by its number."""
        is_worth_it = sum(self._last) >= _LEAST_LOOKUPS
        return is_worth_it and self.are_known and window % PROBE_EVERY != PROBE_EVERY - 1

    def learn(self, entries: Set[int], verdicts: tuple[int, ...], is_predicted: bool) -> None:
        """Take note of a window: entry functions and verdicts of all lookups measured so far."""
        new = [now - last for now, last in zip(verdicts, self._last, strict=True)]
        self._last = verdicts
        self._entries = entries
        if not is_predicted:
            if self._is_possible:
                self._known = frozenset(entry for entry in entries if self._is_learnt(entry))
            return
        self._predicted += sum(new)
        self._doubtful += sum(new[doubt] for doubt in _DOUBTS)
        if self._doubtful > max(_LEAST_DOUBTFUL, DOUBTFUL_RATIO * self._predicted):
            self._is_possible = False

    def _is_learnt(self, entry: int) -> bool:
        data = self._module.map("traversal_frames").get(struct.pack("<I", entry))
        frame = TraversalFrame.decode(data) if data else None
        return frame is not None and frame.agreed > 0 and not frame.differed
