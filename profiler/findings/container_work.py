"""Container operations that take much CPU time and that no other finding explains. Pure.

Samples know them all: links, iterators and copies too, which windows do not measure, and lookups
that were not measured.
"""

from __future__ import annotations

from collections.abc import Iterator

from profiler.findings.lookups import explained_places
from profiler.findings.wording import cpu_time, percent, place
from profiler.model.finding import Finding
from profiler.model.profile import OperationUse, Profile
from profiler.model.subject import Subject

# What the interval's lower end must reach: less is the ordinary work of a busy PBX.
_LEAST_RATIO = 0.01  # of a CPU
_LEAST_PART = 0.1  # of what all threads used
_LEAST_SAMPLES = 10
_LISTED = 3

_WALKS = "walks through all elements of a container"
_WALKS_ADVICE = (
    "It walks all elements one by one: its time grows with their number. See who calls it so often."
)
_COPIES = "copies a whole container"
_COPIES_ADVICE = (
    "It copies all elements, one by one: its time grows with their number. See who calls it so "
    "often."
)
_CALLS = (
    "calls a function for elements of a container",
    "It visits elements one by one; what the function does for each counts, too. See in the flame "
    "graph which of both it is, and who calls it so often.",
)
_LOOKS_UP = "looks up elements"
_WORDS = {
    "ao2_link": (
        "links objects into a container",
        "Linking into a sorted container compares with what is there already: one chain, or all of "
        "a list. So filling it takes time by the square of the number of objects. See what fills "
        "it: a reload, or code that builds a new container each time.",
    ),
    "ao2_callback": _CALLS,
    "ao2_callback_data": _CALLS,
    "ao2_iterator_next": (_WALKS, _WALKS_ADVICE),
    "ao2_container_clone": (_COPIES, _COPIES_ADVICE),
    "ao2_container_dup": (_COPIES, _COPIES_ADVICE),
    "ao2_container_dup_weakproxy_objs": (_COPIES, _COPIES_ADVICE),
}
_UNKNOWN = (
    _LOOKS_UP,
    "The comparisons in these lookups were not counted, so it is not known how long their chains "
    "are. Record again while it happens, for longer or with a larger --budget.",
)
_SHORT = (
    _LOOKS_UP,
    "Each of these lookups is short: there are many. See who calls it so often.",
)


def container_work(profile: Profile) -> Iterator[Finding]:
    """Yield a finding for each of the heaviest."""
    explained = explained_places(profile)
    found = [
        use
        for use in profile.operations or ()
        if _is_much(profile, use) and place(use) not in explained
    ]
    return (_finding(profile, use) for use in found[:_LISTED])


def _is_much(profile: Profile, use: OperationUse) -> bool:
    least_ratio = max(_LEAST_RATIO, _LEAST_PART * profile.cpu_ratio)
    return use.cpu.samples >= _LEAST_SAMPLES and use.cpu.low >= least_ratio


def _finding(profile: Profile, use: OperationUse) -> Finding:
    does, advice = _WORDS.get(use.name) or (_SHORT if _is_counted(profile, use) else _UNKNOWN)
    return Finding(
        "container-work",
        0,
        f"{place(use)} {does}: {percent(use.cpu.ratio)} of a CPU in {use.name}",
        (cpu_time(profile, use.cpu), *_where(use)),
        use.cpu.ratio,
        advice,
        subject=Subject(tuple(part.address for part in use.containers[:1]), (place(use),)),
    )


def _is_counted(profile: Profile, use: OperationUse) -> bool:
    """Return whether comparisons were counted in lookups from there."""
    sites = (site for container in profile.containers for site in container.call_sites)
    return any(site.comparisons.mean is not None for site in sites if place(site) == place(use))


def _where(use: OperationUse) -> Iterator[str]:
    """Yield in which containers it was, as far as that is known."""
    for first in use.containers[:1]:
        others = len(use.containers) - 1
        yield f"in {first.label}" + (f" and {others:,} more" if others else "")
