"""Whether threads wait for each other's lock in their lookups. Pure."""

from __future__ import annotations

# Lookups that take longer than the target runs meanwhile wait for something.
WAITING_RATIO = 1.5


def do_wait(lookups_ns: int, ran_ns: int) -> bool:
    """Return whether lookups wait for each other: they take more time than all threads run.

    Waits for a CPU, and lookups inside others, which count twice, may make it say so as well.
    """
    return lookups_ns > WAITING_RATIO * ran_ns
