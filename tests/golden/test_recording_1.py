"""A recording of format version 1, as 0.1.0 wrote it. Every later version must read and show it.

Never write `recording-1/recording` anew; what is shown of it may change, as every golden output.
tests/examples.py makes every output of it.
"""

from __future__ import annotations

import io
import math

import pytest

from profiler.files.recording_file import read_recording
from profiler.model.profile import Profile
from profiler.renderers.terminal import text
from profiler.report.aggregate import aggregate
from tests.examples import RECORDING


@pytest.fixture(scope="module")
def profile() -> Profile:
    return aggregate(read_recording(RECORDING))


def test_its_numbers_are_read(profile: Profile) -> None:
    assert (profile.target.pid, profile.target.version) == (4711, "16.28.0")
    assert profile.window.duration_s == 60
    assert [thread.tid for thread in profile.threads] == [4733, 4711, 4720]
    assert len(profile.samples) == 99
    worst, other = profile.containers
    assert (worst.buckets, worst.elements_start, worst.elements_end) == (7, 55_585, 55_702)
    assert (worst.lookups.measured, worst.lookups.estimated_total) == (23_225, 738_412)
    assert (worst.comparisons.total, worst.comparisons.max) == (2 * 175_178_445, 8_191)
    assert [site.line for site in worst.call_sites] == [776, 741]
    assert (other.name, other.lookups.measured) == ("dialog_cmp_cb", 17_989)
    assert math.fsum(stack.lookups for stack in profile.lookup_stacks) == 41_204


@pytest.mark.parametrize(
    ("name", "render"), [("terminal.txt", text.render), ("full.txt", text.render_full)]
)
def test_it_is_shown_in_a_terminal(golden, profile: Profile, name: str, render) -> None:
    out = io.StringIO()
    render(profile, out)
    golden(f"recording-1/{name}", out.getvalue())
