"""When the samples of each frame of the CPU flame graph were taken, for the script of the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from profiler.model.profile import Profile
from profiler.renderers.graphs.lanes import Frame, shown_stacks
from profiler.renderers.graphs.tree import Node, Tree
from profiler.renderers.words.thread_groups import lane_namer

_ENTRIES_MAX = 60_000  # of frames in bins: some 0.3 MB of the page
Bins = Mapping[tuple[int, int], int]  # (frame, bin): samples


@dataclass(frozen=True, slots=True)
class SampleTimes:
    """Samples of each drawn frame in bins of one length, without those of frames below it."""

    bin_ns: int
    bin_count: int
    by_frame: tuple[tuple[tuple[int, int], ...], ...]  # (bin, samples), ascending

    @property
    def text(self) -> str:
        """In short: "0*3 7,,2" for 3 samples in bin 0 and one in 7, none, one in bin 2."""
        return ",".join(" ".join(map(_entry, bins)) for bins in self.by_frame)


def sample_times(profile: Profile, tree: Tree, entries_max: int = _ENTRIES_MAX) -> SampleTimes:
    """Return when the samples of a tree were taken; in longer bins where they would be too many."""
    start_ns, bin_ns = profile.window.start_ns, profile.sample_bins.bin_ns
    last = len(profile.sample_bins.groups[0].samples) - 1
    places = _Places(profile, tree.nodes)
    counts: Counter[tuple[int, int]] = Counter()
    for sample in profile.samples:
        at = min(max((sample.time_ns - start_ns) // bin_ns, 0), last)
        counts[places.of(sample.tid, sample.stack), at] += 1
    while len(counts) > entries_max and last:
        counts, last, bin_ns = _halved(counts), last // 2, 2 * bin_ns
    by_frame: list[list[tuple[int, int]]] = [[] for _ in tree.nodes]
    for (frame, at), samples in sorted(counts.items()):
        by_frame[frame].append((at, samples))
    return SampleTimes(bin_ns, last + 1, tuple(map(tuple, by_frame)))


class _Places:
    """Finds the drawn frame that a sample belongs to: the last one of its stack."""

    def __init__(self, profile: Profile, nodes: Sequence[Node]) -> None:
        self._below: dict[tuple[int, Frame], int] = {}
        self._lane_of = lane_namer(profile)
        self._stacks = shown_stacks(profile)
        self._known: dict[tuple[int, int], int] = {}
        above: list[int] = []
        for index, node in enumerate(nodes):
            del above[node.depth :]
            if above:
                self._below[above[-1], (node.label, node.kind)] = index
            above.append(index)

    def of(self, tid: int, stack: int) -> int:
        """Return the frame's index."""
        found = self._known.get((tid, stack))
        if found is None:
            found = self._known[tid, stack] = self._find(tid, stack)
        return found

    def _find(self, tid: int, stack: int) -> int:
        place = 0
        for frame in ((self._lane_of(tid), "lane"), *self._stacks[stack]):
            below = self._below.get((place, frame))
            if below is None:
                break
            place = below
        return place


def _halved(counts: Bins) -> Counter[tuple[int, int]]:
    """Make one bin of each two."""
    halved: Counter[tuple[int, int]] = Counter()
    for (frame, at), samples in counts.items():
        halved[frame, at // 2] += samples
    return halved


def _entry(entry: tuple[int, int]) -> str:
    at, samples = entry
    return str(at) if samples == 1 else f"{at}*{samples}"
