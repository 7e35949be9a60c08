"""What tests take of the ways to attach that the kernel has.

Ask in tests, not when they are collected: that happens without root, and in each worker.
"""

from __future__ import annotations

from profiler.linux.probe_link_kinds import ProbeLinkKind, probe_link_errno
from profiler.probes.attach import Variant, variants_here


def walk_here(iterator: bool) -> Variant | None:
    """Return the best variant that walks by iterators or by tail calls, None without any."""
    return next((variant for variant in variants_here() if variant.iterator == iterator), None)


def way_name(variant: Variant) -> str:
    """Return what a test's name says of a variant."""
    return f"{variant.links.value}-{variant.iterator}"


def plain_links() -> ProbeLinkKind:
    """Return the best links whose programs run only where they are asked to: at entry or return."""
    plain = (ProbeLinkKind.MULTI, ProbeLinkKind.SINGLE)
    return next(kind for kind in plain if probe_link_errno(kind) == 0)
