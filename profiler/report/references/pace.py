"""Whether more and more are kept until the end of a recording, as of a leak. Pure.

What is kept by design is mostly made at the start, by a reload, or when a phone registers at first.
Then it ends. Time is measured by the objects that are followed, of all types: so it stands while
no window is open, or while nothing happens in the target.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from profiler.model.leaks import LeaksRecording

# How often so few are kept at the end of a leak by chance.
_CHANCE = 0.003
# A container grows in the last third at least by this share of the survivors that were linked then:
# the others may be taken out yet.
_GROWTH = 0.5


@dataclass(frozen=True, slots=True)
class Pace:
    """When followed objects were born, and how the sizes of containers went."""

    end_ns: int
    births_ns: tuple[int, ...]  # in order
    sizes: dict[int, tuple[tuple[int, int], ...]]  # by address: (time_ns, elements)

    @classmethod
    def of(cls, recording: LeaksRecording) -> Pace:
        """Return the pace of a recording."""
        return cls(
            recording.window.end_ns,
            tuple(sorted(one.born_ns for one in recording.objects)),
            {one.address: one.elements for one in recording.containers},
        )

    def goes_on(self, kept_ns: Collection[int], until_ns: int) -> bool:
        """Return whether as much is kept until the end as before, but for chance.

        Neither in the last third nor since the last one are there too few.
        """
        third_ns = self._last_third(until_ns)
        last_ns = max(kept_ns, default=0)
        return last_ns >= third_ns and all(
            self._is_usual(kept_ns, since_ns, until_ns) for since_ns in (third_ns, last_ns + 1)
        )

    def _is_usual(self, kept_ns: Collection[int], since_ns: int, until_ns: int) -> bool:
        """Return whether so few are kept since then may be by chance."""
        before, births = (bisect_left(self.births_ns, at) for at in (since_ns, until_ns))
        found = sum(one >= since_ns for one in kept_ns)
        return _at_most(found, len(kept_ns), 1 - before / max(births, before, 1)) >= _CHANCE

    def grows(self, container: int, linked_ns: Sequence[int]) -> bool:
        """Return whether a container grows in the last third, by those that were linked then."""
        last_ns = self._last_third(self.end_ns)
        linked = sum(one >= last_ns for one in linked_ns)
        later = [count for time_ns, count in self.sizes.get(container, ()) if time_ns >= last_ns]
        return len(later) > 1 and later[-1] - later[0] >= max(1, _GROWTH * linked)

    def _last_third(self, until_ns: int) -> int:
        """Return when the last third begins of the objects that are followed."""
        births = bisect_left(self.births_ns, until_ns)
        return self.births_ns[2 * births // 3] if births else until_ns


def _at_most(found: int, tries: int, share: float) -> float:
    """Return how likely no more than that are found, by the binomial law."""
    if found >= tries or share <= 0:
        return 1.0
    if share >= 1:
        return 0.0
    return sum(math.exp(_log_likely(few, tries, share)) for few in range(found + 1))


def _log_likely(found: int, tries: int, share: float) -> float:
    """Return the logarithm of how likely just so many are: of thousands, factors overflow."""
    ways = math.lgamma(tries + 1) - math.lgamma(found + 1) - math.lgamma(tries - found + 1)
    return ways + found * math.log(share) + (tries - found) * math.log1p(-share)
