"""What tells containers of one name apart: who uses them, in the end their addresses. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from profiler.findings.wording import place
from profiler.model.profile import ContainerUse


def told_apart(containers: Sequence[ContainerUse]) -> tuple[ContainerUse, ...]:
    """Return the containers, none of them labelled as another one."""
    names = Counter(one.label for one in containers)
    used = [_with_user(one) if names[one.label] > 1 else one for one in containers]
    labels = Counter(one.label for one in used)
    return tuple(_with_address(one) if labels[one.label] > 1 else one for one in used)


def _with_user(container: ContainerUse) -> ContainerUse:
    """Say which call site its lookups cost most at: "used by chan_sip.c:30063 do_monitor"."""
    for site in container.call_sites[:1]:
        return replace(container, told_apart_by=f"used by {place(site)}")
    return container


def _with_address(container: ContainerUse) -> ContainerUse:
    known = (container.told_apart_by, f"at {container.address:#x}")
    return replace(container, told_apart_by=" ".join(filter(None, known)))
