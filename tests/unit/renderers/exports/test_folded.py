from __future__ import annotations

import io
import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from profiler.model.profile import NamedStack, Profile
from profiler.model.recording import LookupStack, Sample
from profiler.renderers.exports import folded
from tests import examples

NAMES = st.text(max_size=20) | st.sampled_from(["a;b", "x 1", "\n", "main", "~f", "lib+0x10"])


def lines(render, profile: Profile) -> list[tuple[list[str], int]]:
    """Read the output as other tools do: the weight follows the last blank, `;` separates."""
    out = io.StringIO()
    render(profile, out)
    rows = [line.rpartition(" ") for line in out.getvalue().split("\n")[:-1]]
    return [(stack.split(";"), int(weight)) for stack, _, weight in rows]


def profile_of(stacks: list[NamedStack], samples: list[tuple[int, int]]) -> Profile:
    """Build a profile of samples (tid, stack)."""
    made = tuple(Sample(index, tid, stack) for index, (tid, stack) in enumerate(samples))
    return replace(examples.empty(), stacks=tuple(stacks), samples=made)


def test_samples_are_counted_under_thread_and_stack_root_first() -> None:
    stacks = [NamedStack(("main", "work"), 0, None), NamedStack(("main", "read"), 1, None)]
    made = profile_of(stacks, [(7, 0), (7, 1), (7, 0), (8, 0)])
    assert lines(folded.render, made) == [
        (["thread (7)", "main", "work"], 2),
        (["thread (7)", "main", "read_[k]"], 1),
        (["thread (8)", "main", "work"], 1),
    ]


def test_a_cut_stack_has_a_root_that_says_so() -> None:
    made = profile_of([NamedStack(("work",), 0, "no table")], [(7, 0)])
    assert lines(folded.render, made) == [
        (["thread (7)", "[stack truncated: no table]", "work"], 1)
    ]


def test_a_name_cannot_make_a_second_frame_or_line() -> None:
    made = profile_of([NamedStack(("a;b\nc 9",), 0, None)], [(7, 0)])
    assert lines(folded.render, made) == [(["thread (7)", "a\\x3bb\\nc 9"], 1)]


@given(st.data())
def test_every_sample_is_in_one_line(data: st.DataObject) -> None:
    stacks = data.draw(
        st.lists(
            st.builds(
                NamedStack,
                st.lists(NAMES, max_size=5).map(tuple),
                st.integers(0, 2),
                st.none() | NAMES,
            ),
            min_size=1,
            max_size=6,
        )
    )
    stack_indices = st.integers(0, len(stacks) - 1)
    samples = data.draw(st.lists(st.tuples(st.integers(1, 3), stack_indices), max_size=40))
    rows = lines(folded.render, profile_of(stacks, samples))
    assert sum(weight for _, weight in rows) == len(samples)
    assert len({tuple(stack) for stack, _ in rows}) == len(rows)


@given(st.lists(st.floats(0, 1e12), max_size=30))
def test_the_sum_of_comparisons_is_kept(weights: list[float]) -> None:
    story = examples.field_story()
    stacks = tuple(LookupStack(6, 0, 1.0, weight) for weight in weights)
    rows = lines(folded.render_comparisons, replace(story, lookup_stacks=stacks))
    assert sum(weight for _, weight in rows) == round(math.fsum(weights))
