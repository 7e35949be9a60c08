"""What is looked at again and again while recording, for the time line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from profiler.model.observed import ContainerKey, Followed
from profiler.record.collection.bounded_series import BoundedSeries

if TYPE_CHECKING:
    from profiler.counting.lookups import LookupMeasurement
    from profiler.process.sockets.udp_sockets import UdpSockets
    from profiler.windows.budget import Governor


class FollowedRun:
    """Takes note of numbers that others have read anyway: it asks nobody for them."""

    def __init__(self) -> None:
        self._numbers: BoundedSeries[str] = BoundedSeries()
        self._elements: BoundedSeries[ContainerKey] = BoundedSeries()

    def look(
        self,
        now_ns: int,
        governor: Governor,
        sockets: UdpSockets,
        lookups: LookupMeasurement | None,
    ) -> None:
        """Take note of what is known now."""
        numbers = {
            "cost_ns": governor.spent_ns,
            "queue_bytes": sockets.queue_bytes,
            "drops": sockets.drops,
        }
        if lookups is not None:
            numbers["verified"] = lookups.verified
            numbers["comparisons"] = lookups.comparisons
        self._numbers.add(now_ns, numbers)
        self._elements.add(now_ns, lookups.containers.elements() if lookups is not None else {})

    def sizes(self) -> Iterator[tuple[int, list[tuple[int, int]]]]:
        """Yield each container's address, and its sizes: when, and how many elements."""
        ends_ns = self._elements.ends_ns
        for key, counts in self._elements.all().items():
            sizes = zip(ends_ns, counts, strict=True)
            yield key.address, [(end_ns, count) for end_ns, count in sizes if count is not None]

    def observed(self) -> Followed:
        """Return all of it."""
        numbers = self._numbers.all()
        return Followed(
            self._numbers.ends_ns,
            cost_ns=numbers.get("cost_ns", ()),
            queue_bytes=numbers.get("queue_bytes", ()),
            drops=numbers.get("drops", ()),
            verified=numbers.get("verified", ()),
            comparisons=numbers.get("comparisons", ()),
            elements=self._elements.all(),
        )
