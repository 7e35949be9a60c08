"""The heaviest paths of threads, folded to what tells the story. Pure.

Of a stack, what is left are functions of Asterisk and its libraries that have a name, then the
system call or the function of the C library that they called. What a lookup calls is left out.
Equal ones make a tree of calls. A path follows the heaviest call for as long as that has a good
part of what its caller has.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import takewhile

from profiler.model.profile import ThreadGroup, ThreadPath
from profiler.model.recording import Frame, Recording, Stack
from profiler.report.basics.asterisk_words import CONTAINER_FUNCTIONS
from profiler.report.threads.thread_roles import own_frames

Folded = tuple[str, ...]  # outermost first

_MOST_PATHS = 3
_MOST_FRAMES = 4  # that are shown of a path
_LEAST_SAMPLES = 10  # of a group: of fewer, shares say nothing
_LEAST_RATIO, _LEAST_OF_PATH = 0.1, 3  # of the group's samples: a lighter path is not shown
# A call is followed if it has so much of what its caller has, or of all.
_OF_CALLER, _OF_ALL = 0.5, 0.2
_BRANCH_RATIO = 0.9  # a call with less of what its caller has is worth showing

# System calls in which a thread without work waits, and functions of the C library for them.
_WAITS = frozenset(
    ("poll", "ppoll", "select", "pselect6", "epoll_wait", "epoll_pwait", "futex", "read")
)
_SLEEPS = frozenset(("nanosleep", "clock_nanosleep", "usleep", "sched_yield"))
_BUSY_LOOP_RATIO = 0.75  # of samples in these, and in what calls them
# A thread that waits as it should hardly runs. One that sleeps for microseconds does, too.
_RUNNABLE_WAITING, _RUNNABLE_SLEEPING = 0.5, 0.1

# How the kernel names a system call (SYSCALL_DEFINE in arch/x86/include/asm/syscall_wrapper.h).
_SYSTEM_CALL = re.compile(r"__(?:x64|ia32)_(?:compat_)?sys_(\w+)")


def with_paths(
    recording: Recording, names: Sequence[str], groups: Iterable[ThreadGroup]
) -> tuple[ThreadGroup, ...]:
    """Return the groups with the heaviest paths of each."""
    counts: dict[int, Counter[int]] = {}
    for sample in recording.samples:
        counts.setdefault(sample.tid, Counter())[sample.stack] += 1
    folding = _Folding(recording, names)
    made = []
    for group in groups:
        weights: Counter[Folded] = Counter()
        for tid in group.tids:
            for stack, count in counts.get(tid, {}).items():
                weights[folding.folded(stack)] += count
        made.append(replace(group, paths=heaviest_paths(weights, group.runnable_ratio)))
    return tuple(made)


class _Folding:
    """Folds the stacks of one recording, each once."""

    def __init__(self, recording: Recording, names: Sequence[str]) -> None:
        self._stacks = recording.stacks
        self._names = names
        self._own = own_frames(recording)
        self._is_named = tuple(frame.symbol is not None for frame in recording.frames)
        self._is_container = tuple(name in CONTAINER_FUNCTIONS for name in names)
        self._calls = tuple(map(_kernel_entry, recording.frames))
        self._done: dict[int, Folded] = {}

    def folded(self, index: int) -> Folded:
        """Return what is left of a stack."""
        if index not in self._done:
            self._done[index] = tuple(self._fold(self._stacks[index]))
        return self._done[index]

    def _fold(self, stack: Stack) -> Iterator[str]:
        user = stack.frames[stack.kernel_count :]
        own = [frame for frame in reversed(user) if self._own[frame]]
        if stack.cause is None and len(own) > 1:
            del own[0]  # the role, which is the title of its thread
        called = self._system_call(stack.frames[: stack.kernel_count])
        lookup = next((at for at, frame in enumerate(own) if self._is_container[frame]), None)
        if lookup is not None:
            del own[lookup + 1 :]
        elif called is None:
            called = self._library_call(user)
        named = [frame for frame in own if self._is_named[frame]]
        if own and (not named or (called is None and named[-1] != own[-1])):
            named.append(own[-1])
        before = None
        for frame in named:
            if frame != before:  # of a recursion, one
                yield self._names[frame]
            before = frame
        if called is not None:
            yield called

    def _system_call(self, kernel: Sequence[int]) -> str | None:
        return next((call for frame in reversed(kernel) if (call := self._calls[frame])), None)

    def _library_call(self, user: Sequence[int]) -> str | None:
        """Return the function of the C library that own code called last, if it is still there."""
        inner = list(takewhile(lambda frame: not self._own[frame], user))
        if not inner:
            return None
        name = self._names[inner[-1]]
        return name.lstrip("_") if self._is_named[inner[-1]] else name.partition("+")[0]


def _kernel_entry(frame: Frame) -> str | None:
    """Return why the kernel was entered, if this is a frame of it that tells."""
    symbol = frame.symbol or ""
    if found := _SYSTEM_CALL.fullmatch(symbol):
        return found[1]
    return "page fault" if symbol.endswith("exc_page_fault") else None


class _Node:
    """Samples under one frame, called as its parents say."""

    __slots__ = ("children", "is_rest", "weight")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.weight = 0
        self.is_rest = False


def heaviest_paths(weights: Counter[Folded], runnable_ratio: float) -> tuple[ThreadPath, ...]:
    """Return the heaviest paths through stacks, heaviest first.

    `runnable_ratio`: for how much of the window each of the threads ran or was ready to.
    """
    total = weights.total()
    if total < _LEAST_SAMPLES:
        return ()
    root = _tree(weights)
    paths = []
    for _ in range(_MOST_PATHS):
        frames, nodes = _walk(root, total)
        if not frames or nodes[-1].weight < max(_LEAST_RATIO * total, _LEAST_OF_PATH):
            break
        paths.append(
            ThreadPath(
                frames=_telling(frames, nodes),
                ratio=nodes[-1].weight / total,
                is_rest=nodes[-1].is_rest,
                busy_loop_ratio=_busy_loop(frames, weights, runnable_ratio),
            )
        )
        _take_out(frames, nodes)
    return tuple(sorted(paths, key=lambda path: -path.ratio))


def _tree(weights: Counter[Folded]) -> _Node:
    root = _Node()
    for frames, weight in sorted(weights.items()):
        node = root
        node.weight += weight
        for frame in frames:
            node = node.children.setdefault(frame, _Node())
            node.weight += weight
    return root


def _walk(root: _Node, total: int) -> tuple[Folded, list[_Node]]:
    """Follow the heaviest call from the root; return its frames, and its nodes with the root."""
    frames: list[str] = []
    nodes = [root]
    while nodes[-1].children:
        frame, child = max(nodes[-1].children.items(), key=lambda item: item[1].weight)
        if child.weight < min(_OF_CALLER * nodes[-1].weight, _OF_ALL * total):
            break
        frames.append(frame)
        nodes.append(child)
    return tuple(frames), nodes


def _take_out(frames: Folded, nodes: Sequence[_Node]) -> None:
    """Remove a path's last node from the tree."""
    weight = nodes[-1].weight
    for node in nodes:
        node.weight -= weight
        node.is_rest = True
    del nodes[-2].children[frames[-1]]


def _telling(frames: Folded, nodes: Sequence[_Node]) -> Folded:
    """Return the last frame, those at which the path leaves others, then those next to the end."""
    lost = [above.weight - node.weight for above, node in zip(nodes, nodes[1:], strict=False)]
    branches = [
        index
        for index in range(1, len(frames))
        if nodes[index + 1].weight < _BRANCH_RATIO * nodes[index].weight
    ]
    branches.sort(key=lambda index: -lost[index])
    ranked = dict.fromkeys((len(frames) - 1, *branches, *reversed(range(len(frames)))))
    return tuple(frames[index] for index in sorted(list(ranked)[:_MOST_FRAMES]))


def _busy_loop(frames: Folded, weights: Counter[Folded], runnable_ratio: float) -> float | None:
    """Return the share of a loop that waits without sleeping; None if this is none."""
    if frames[-1] in _SLEEPS:
        least_runnable = _RUNNABLE_SLEEPING
    elif frames[-1] in _WAITS:
        least_runnable = _RUNNABLE_WAITING
    else:
        return None
    waiting = sum(
        weight
        for stack, weight in weights.items()
        if stack == frames[: len(stack)] or stack[-1] in _WAITS | _SLEEPS
    )
    ratio = waiting / weights.total()
    return ratio if ratio >= _BUSY_LOOP_RATIO and runnable_ratio >= least_runnable else None
