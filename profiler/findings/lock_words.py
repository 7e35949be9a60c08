"""Waits for locks in the words of findings: of a moment and of a recording alike. Pure."""

from __future__ import annotations

from profiler.findings.wording import seconds

LONG_NS = 1_000_000_000  # a lock that is waited for so long is contended, by whomever
STUCK_NS = 5_000_000_000  # who waits so long for one is stuck; `ebpf-prof waits --stuck` changes it
STUCK_ADVICE = "See by its stack what it waits for: a file, a server, a device, another process."
CONTENTION_ADVICE = (
    "Who has it works long under it, or many ask for it: see its stack; ask less often."
)


def counted_threads(count: int) -> str:
    """Return how many threads: 1 thread, 31 threads."""
    return f"{count:,} thread{'' if count == 1 else 's'}"


def deadlock_title(count: int, age_ns: int | None, behind_count: int) -> str:
    """Return how many wait for each other, for how long, and how many more wait behind them."""
    title = f"deadlock: {count} threads wait for each other"
    if count == 1:
        title = "deadlock: a thread waits for a lock that it has itself"
    if age_ns is not None:
        title += f", for {seconds(age_ns / 1e9)}"
    return f"{title}; {behind_count:,} more behind them" if behind_count else title


def stuck_title(what: str, count: int, longest_ns: int) -> str:
    """Return what keeps others waiting, how many, and how long."""
    return f"{what}: {counted_threads(count)} behind it, up to {seconds(longest_ns / 1e9)}"
