"""What tests take of the ways to attach that the kernel has; asked only where they run as root."""

from __future__ import annotations

from profiler.linux.probe_link_kinds import ProbeLinkKind, probe_link_errno
from profiler.probes.attach import Variant, variants_here


def walks_here() -> tuple[Variant, ...]:
    """Return the best way that walks by iterators, if the kernel has them, and by tail calls."""
    return tuple({way.iterator: way for way in reversed(variants_here())}.values())


def way_name(way: Variant) -> str:
    """Return what a test's name says of a way."""
    return f"{way.links.value}-{way.iterator}"


def plain_links() -> ProbeLinkKind:
    """Return the best links whose programs run only where they are asked to: at entry or return."""
    plain = (ProbeLinkKind.MULTI, ProbeLinkKind.SINGLE)
    return next(kind for kind in plain if probe_link_errno(kind) == 0)
