from __future__ import annotations

from collections import Counter

import pytest

from profiler.model.profile import Profile
from profiler.renderers.graphs.flamegraph import sample_graph
from profiler.renderers.graphs.lanes import sample_lanes
from profiler.renderers.graphs.sample_times import SampleTimes, sample_times
from profiler.renderers.graphs.tree import Tree, build, keep_heaviest
from tests import examples
from tests.example_times import SECOND_NS, START_NS

STORY = examples.field_story()


def whole_tree(profile: Profile) -> Tree:
    return build(sample_lanes(profile), "all")


def weights(tree: Tree, times: SampleTimes) -> list[int]:
    """Add up what frames weigh, as the script does."""
    found = [sum(samples for _, samples in bins) for bins in times.by_frame]
    path: list[int] = []
    for index, node in enumerate(tree.nodes):
        del path[node.depth :]
        for above in path:
            found[above] += sum(samples for _, samples in times.by_frame[index])
        path.append(index)
    return found


@pytest.mark.parametrize("profile", [STORY, examples.hostile()])
@pytest.mark.parametrize("frames", [10_000, 20, 5, 1])
def test_the_times_of_frames_add_up_to_what_is_drawn(profile: Profile, frames: int) -> None:
    tree = keep_heaviest(whole_tree(profile), frames)
    assert weights(tree, sample_times(profile, tree)) == [node.weight for node in tree.nodes]


def test_samples_are_in_the_bins_of_their_times() -> None:
    times = sample_times(STORY, sample_graph(STORY).tree)
    assert (times.bin_ns, times.bin_count) == (SECOND_NS, 60)
    found: Counter[int] = Counter()
    for bins in times.by_frame:
        found.update(dict(bins))
    assert found == Counter((one.time_ns - START_NS) // SECOND_NS for one in STORY.samples)


def test_bins_get_longer_where_there_would_be_too_many_entries() -> None:
    tree = whole_tree(STORY)
    times = sample_times(STORY, tree, entries_max=40)
    assert sum(map(len, times.by_frame)) <= 40
    assert times.bin_ns == SECOND_NS * 16
    assert times.bin_count == 4  # the last one is shorter
    assert weights(tree, times) == [node.weight for node in tree.nodes]


def test_each_frame_has_its_bins_in_the_text() -> None:
    assert SampleTimes(1, 9, (((0, 3), (7, 1)), (), ((2, 1),))).text == "0*3 7,,2"
