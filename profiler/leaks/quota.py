"""How many objects are chosen, and how long their histories may be, as a run goes on. Pure.

What is kept is spread over the run: a leak is told from what is kept once, as at a reload, by what
is born in its second half. Objects that are used all the time would take the room of all others,
so their histories are cut once there are too many changes.
"""

from __future__ import annotations

MAX_OBJECTS = 16_384  # in one run
_MAX_CHANGES = 1 << 18  # in one run; before histories are cut
_LONG, _SHORT = 4_096, 128  # changes of one object
_HEAD_START = 1 / 8  # of a run, of which no object is chosen later
_FIRST_QUOTA, _MAX_QUOTA = 16, 64  # objects of one type in one round
_FEW = MAX_OBJECTS // 64  # objects in one round


class Quota:
    """What is allowed in the round that begins; rounds last a second or so."""

    def __init__(self) -> None:
        self.birth_quota = 0  # objects of one type
        self.max_changes = _LONG  # of one object
        self._objects = 0  # that were chosen before this round

    def begin_round(self, objects: int, changes: int, gone_ratio: float) -> None:
        """Begin a round, after so many objects and changes, when so much of the run is over."""
        chosen, self._objects = objects - self._objects, objects
        share = min(gone_ratio + _HEAD_START, 1)
        self.max_changes = _LONG if changes < _MAX_CHANGES * share else _SHORT
        if objects >= MAX_OBJECTS * share or changes >= 2 * _MAX_CHANGES * share:
            self.birth_quota = 0
        elif not self.birth_quota:
            self.birth_quota = _FIRST_QUOTA
        elif chosen < _FEW:
            self.birth_quota = min(2 * self.birth_quota, _MAX_QUOTA)
