"""Links as a recording holds them: indexes in place of addresses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from profiler.model.links import Links, LinkStack, ObservedLinks
from profiler.model.observed import ContainerKey
from profiler.record.assembly.stacks import StackIndex


def recorded_links(
    observed: ObservedLinks, indexes: Mapping[ContainerKey, int], frames: StackIndex
) -> Links:
    """Return who linked into the recording's containers; `indexes`: of these."""
    containers = {key.address: index for key, index in indexes.items()}
    return Links(
        tuple(_stacks(observed, containers, frames)), observed.covered_ns, observed.accounting
    )


def _stacks(
    observed: ObservedLinks, containers: Mapping[int, int], frames: StackIndex
) -> Iterator[LinkStack]:
    for container, name, links in observed.counts:
        stack = frames.stack(name, is_leaf=False)
        if container in containers and stack is not None:
            yield LinkStack(containers[container], stack, links)
