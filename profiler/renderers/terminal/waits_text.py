"""Who waits for whom, on the terminal: deadlocks first, then who keeps others waiting."""

from __future__ import annotations

from collections import Counter
from typing import TextIO

from profiler.model.finding import Finding, Severity
from profiler.model.wait_picture import Deadlock, LockQueue, LockWait, WaitChain, WaitPicture
from profiler.model.wait_words import calls, doing
from profiler.model.waits import WaitingThread, WaitKind
from profiler.renderers.terminal.text import write
from profiler.renderers.words import numbers
from profiler.renderers.words.labels import clip
from profiler.renderers.words.lines import Line, heading, wrapped

_FINDINGS_MAX = 10
_DEADLOCKS_MAX = 5
_MEMBERS_MAX = 20  # of one deadlock
_CHAINS_MAX = 10
_QUEUES_MAX = 12  # of one chain
_GROUPS_MAX = 6  # of threads in one queue
_FRAMES_MAX = 60  # of one stack
_DEPTH_MAX = 8  # further in are all queues alike
_PATH_FRAMES = 5
_TEXT_MAX = 300
# Waiting for work: idle threads.
_IDLE = {
    WaitKind.CONDITION: "for a condition",
    WaitKind.SEMAPHORE: "for a semaphore",
    WaitKind.POLL: "for a descriptor",
    WaitKind.READ: "to read",
    WaitKind.WRITE: "to write",
    WaitKind.SLEEP: "asleep",
    WaitKind.SIGNAL: "for a signal",
    WaitKind.CHILD: "for a process",
    WaitKind.JOIN: "for the end of a thread",
    WaitKind.FUTEX: "in a futex",
    WaitKind.FILE_LOCK: "for the lock of a file",
    WaitKind.OTHER: "in the kernel",
}


def render(picture: WaitPicture, out: TextIO) -> None:
    """Write the report; in colour only if `out` is a terminal and NO_COLOR is not set."""
    write(report(picture), out)


def summary(picture: WaitPicture) -> str:
    """Return the picture in one line, for monitoring."""
    word = picture.status.value
    if picture.findings and word != "ok":
        return clip(f"{word.upper()}: {picture.findings[0].title.removeprefix(f'{word}: ')}", 300)
    return f"OK: {_counts(picture)}"


def report(picture: WaitPicture) -> list[Line]:
    """Return the lines of the report, none wider than 80 columns."""
    shown = _Shown(picture)
    lines = [*_title(picture), *_findings(picture)]
    lines += shown.deadlocks()
    lines += shown.chains()
    return [*lines, *_threads(picture), *_warnings(picture)]


def _title(picture: WaitPicture) -> list[Line]:
    target = picture.target
    version = f" {clip(target.version, 40)}" if target.version else ""
    taken = clip(picture.taken_at.replace("T", " ").replace("Z", " UTC"), 40)
    return wrapped("", f"asterisk{version} (pid {target.pid}), {taken}", "heading") + wrapped(
        "", f"{_counts(picture)}; looked at twice, {numbers.duration(picture.interval_ns)} apart"
    )


def _counts(picture: WaitPicture) -> str:
    text = f"{numbers.counted(len(picture.threads), 'thread')}, "
    if not picture.waits:
        return text + "none waits for a lock"
    longest_ns = max(wait.waiting_ns or 0 for wait in picture.waits)
    verb = "waits" if len(picture.waits) == 1 else "wait"
    return f"{text}{len(picture.waits):,} {verb} for a lock, up to {numbers.duration(longest_ns)}"


def _findings(picture: WaitPicture) -> list[Line]:
    lines = heading("FINDINGS")
    if not picture.findings:
        return [*lines, Line("  Nobody waits long for a lock.", "good")]
    for finding in picture.findings[:_FINDINGS_MAX]:
        lines += _finding(finding)
    left_out = len(picture.findings) - _FINDINGS_MAX
    return lines + ([Line(f"    and {left_out:,} more")] if left_out > 0 else [])


def _finding(finding: Finding) -> list[Line]:
    style = "" if finding.severity is Severity.NOTE else "bad"
    lines = wrapped(f"{finding.rank:>2}. ", clip(finding.title, _TEXT_MAX), style)
    for evidence in finding.evidence:
        lines += wrapped("    ", clip(evidence, _TEXT_MAX))
    return lines + wrapped("    -> ", clip(finding.advice, _TEXT_MAX))


def _threads(picture: WaitPicture) -> list[Line]:
    """Return in one paragraph who waits for work."""
    counts = Counter(thread.kind for thread in picture.threads if thread.lock is None)
    idle = [f"{counts[kind]:,} {words}" for kind, words in _IDLE.items() if counts[kind]]
    running = counts[WaitKind.RUNNING]
    text = f"wait: {', '.join(idle)}." if idle else "None waits."
    lines = heading("OTHER THREADS", "no lock keeps them: most of them wait for work")
    return lines + wrapped("  ", f"{text} {running:,} {'runs' if running == 1 else 'run'}.", "dim")


def _warnings(picture: WaitPicture) -> list[Line]:
    lines = heading("WARNINGS") if picture.warnings else []
    for warning in picture.warnings:
        lines += wrapped("  - ", clip(warning, _TEXT_MAX))
    return lines


class _Shown:
    """Deadlocks and chains of one picture."""

    def __init__(self, picture: WaitPicture) -> None:
        self._picture = picture
        self._threads = {thread.tid: thread for thread in picture.threads}

    def deadlocks(self) -> list[Line]:
        """Return the threads of each with their stacks, what they have and want, who is behind."""
        lines = []
        for number, deadlock in enumerate(self._picture.deadlocks[:_DEADLOCKS_MAX], 1):
            lines += self._deadlock(number, deadlock)
        left_out = len(self._picture.deadlocks) - _DEADLOCKS_MAX
        return lines + ([Line(f"and {left_out:,} more deadlocks", "bad")] if left_out > 0 else [])

    def _deadlock(self, number: int, deadlock: Deadlock) -> list[Line]:
        count = numbers.counted(len(deadlock.waits), "thread")
        lines = heading(f"DEADLOCK {number}", f"{count}, each waits for the next")
        had = deadlock.waits[-1]
        for wait in deadlock.waits[:_MEMBERS_MAX]:
            lines += self._member(wait, had)
            had = wait
        left_out = len(deadlock.waits) - _MEMBERS_MAX
        if left_out > 0:
            lines.append(Line(f"  and {left_out:,} more threads", "dim"))
        if deadlock.behind:
            lines.append(Line(f"  behind them ({deadlock.behind_count:,}):"))
            lines += self._queues(deadlock.behind, known_depth=0)
        return lines

    def _member(self, wait: LockWait, had: LockWait) -> list[Line]:
        thread = self._threads[wait.waiter]
        lines = wrapped("  ", f"{self._label(wait.waiter)}{_since(wait.waiting_ns)}", "bad")
        if had.lock is not None:
            taken = self._taken(thread, had.lock)
            lines += wrapped("    has    ", f"{self._lock(had.lock)}{taken}")
        limited = ", for a limited time" if thread.has_timeout else ""
        wants = f"the end of thread {wait.owner}"
        if wait.lock is not None:
            wants = f"{self._lock(wait.lock)}: thread {wait.owner} has it"
        lines += wrapped("    wants  ", f"{wants}{limited}")
        return [*lines, *_stack(thread)]

    def _taken(self, thread: WaitingThread, lock: int) -> str:
        """Return where it seems to have taken a lock; "" if there is no trace of that."""
        for held in thread.holds:
            if held.lock == lock and held.frame is not None:
                taker = clip(thread.frames[held.frame].name, 60)
                return f", taken in {taker} (a guess by its stack)"
        return ""

    def chains(self) -> list[Line]:
        """Return who keeps others waiting, what it does, and who is behind."""
        chains = self._picture.chains
        if not chains:
            return []
        lines = heading("WHO KEEPS OTHERS WAITING", "and who waits behind, by the lock")
        for chain in chains[:_CHAINS_MAX]:
            lines += self._chain(chain)
        rest = chains[_CHAINS_MAX:]
        if rest:
            count = sum(len(chain.waits) for chain in rest)
            lines.append(Line(f"  and {len(rest):,} more, {count:,} threads behind them", "dim"))
        return lines

    def _chain(self, chain: WaitChain) -> list[Line]:
        return self._root(chain) + self._queues(chain.queues, known_depth=1)

    def _root(self, chain: WaitChain) -> list[Line]:
        if chain.root is None:
            return wrapped("  ", self._nobody(chain.queues[0]))
        thread = self._threads.get(chain.root)
        if thread is None:
            return wrapped("  ", f"{self._label(chain.root)}, which was not seen")
        since = "" if thread.kind is WaitKind.RUNNING else _since(thread.waiting_ns)
        lines = wrapped("  ", f"{self._label(chain.root)}{since}")
        return lines + wrapped("      ", clip(doing(thread), _TEXT_MAX))

    def _nobody(self, queue: LockQueue) -> str:
        """Return who has a lock of which no owner is known."""
        lock = self._picture.locks[queue.lock]
        if lock.readers:
            verb = "reads" if lock.readers == 1 else "read"
            return f"{numbers.counted(lock.readers, 'thread')} that {verb}"
        if lock.changes_hands:
            seen = ", ".join(map(self._label, lock.seen_owners)) or "nobody"
            return f"one thread after another; seen to have it: {seen}"
        return "not known who" if any(wait.stands for wait in queue.waits) else "nobody just then"

    def _queues(self, queues: tuple[LockQueue, ...], known_depth: int) -> list[Line]:
        """Return queues; who has a lock is said again further in than `known_depth`."""
        lines = []
        for queue in queues[:_QUEUES_MAX]:
            owner = queue.waits[0].owner if queue.depth > known_depth else None
            lines += self._queue(queue, owner)
        rest = queues[_QUEUES_MAX:]
        if rest:
            count = sum(len(queue.waits) for queue in rest)
            lines.append(Line(f"    and {len(rest):,} more locks, {count:,} threads", "dim"))
        return lines

    def _queue(self, queue: LockQueue, owner: int | None) -> list[Line]:
        indent = "  " * min(queue.depth + 1, _DEPTH_MAX)
        has = "" if owner is None else f", which {self._label(owner)} has"
        lines = wrapped(indent, f"{self._lock(queue.lock)}{has}")
        groups: dict[tuple[str, str], list[LockWait]] = {}
        for wait in queue.waits:
            groups.setdefault(self._group(wait), []).append(wait)
        for (title, path), waits in list(groups.items())[:_GROUPS_MAX]:
            lines += wrapped(f"{indent}  ", self._waiting(title, path, waits))
        rest = list(groups.values())[_GROUPS_MAX:]
        if rest:
            lines.append(Line(f"{indent}  and {sum(map(len, rest)):,} more threads", "dim"))
        return lines

    def _group(self, wait: LockWait) -> tuple[str, str]:
        thread = self._threads[wait.waiter]
        return clip(thread.title, 60), clip(" < ".join(calls(thread)[:_PATH_FRAMES]), 200)

    def _waiting(self, title: str, path: str, waits: list[LockWait]) -> str:
        which = f"thread {waits[0].waiter}" if len(waits) == 1 else f"{len(waits):,} threads"
        longest = numbers.duration(max(wait.waiting_ns or 0 for wait in waits))
        up_to = "up to " if len(waits) > 1 else ""
        moves = "" if any(wait.stands for wait in waits) else ", moving"
        return f"{which} {title}: {up_to}{longest}{moves}" + (f" in {path}" if path else "")

    def _label(self, tid: int | None) -> str:
        thread = None if tid is None else self._threads.get(tid)
        return f"thread {tid}" if thread is None else f"thread {tid} {clip(thread.title, 60)}"

    def _lock(self, index: int) -> str:
        lock = self._picture.locks[index]
        name = clip(self._picture.lock_names[index], 250)
        return name if (lock.recursion or 1) == 1 else f"{name}, {lock.recursion:,} times"


def _since(waiting_ns: int | None) -> str:
    return "" if waiting_ns is None else f", has not run for {numbers.duration(waiting_ns)}"


def _stack(thread: WaitingThread) -> list[Line]:
    lines = []
    for frame in thread.frames[:_FRAMES_MAX]:
        module = f"  ({clip(frame.module, 20)})" if frame.module else ""
        lines.append(Line(f"      {clip(frame.label, 50)}{module}"))
    left_out = len(thread.frames) - _FRAMES_MAX
    if left_out > 0:
        lines.append(Line(f"      and {left_out:,} more", "dim"))
    if thread.cause is not None:
        lines += wrapped("      ", f"[the stack ends here: {clip(thread.cause, 100)}]", "dim")
    return lines
