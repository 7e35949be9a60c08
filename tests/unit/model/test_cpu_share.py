from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.model.cpu_share import CpuShare, cpu_share


def test_a_part_of_the_samples_is_the_same_part_of_the_time() -> None:
    found = cpu_share(50, 100, 0.4)
    assert found.samples == 50
    assert found.ratio == pytest.approx(0.2)
    # Wilson's interval for 50 of 100: 0.4038 to 0.5962.
    assert found.low == pytest.approx(0.4 * 0.4038, abs=1e-4)
    assert found.high == pytest.approx(0.4 * 0.5962, abs=1e-4)


def test_of_no_sample_only_the_most_is_known() -> None:
    assert cpu_share(0, 0, 0.4) == CpuShare(0.0, 0.0, 0.0, 0.4)
    found = cpu_share(0, 100, 0.4)
    assert (found.ratio, found.low) == (0.0, 0.0)
    assert found.high == pytest.approx(0.4 * 0.0370, abs=1e-4)


def test_more_samples_tell_more() -> None:
    few, many = cpu_share(5, 10, 1.0), cpu_share(500, 1_000, 1.0)
    assert few.low < many.low < 0.5 < many.high < few.high


@given(st.data(), st.integers(0, 10**6), st.floats(0, 512))
def test_no_share_is_above_what_the_threads_used(
    data: st.DataObject, all_samples: int, cpu_ratio: float
) -> None:
    samples = data.draw(st.floats(0, all_samples))
    found = cpu_share(samples, all_samples, cpu_ratio)
    assert 0 <= found.low <= found.ratio <= found.high <= cpu_ratio


def test_all_and_none_of_the_samples_have_no_error_beyond_them() -> None:
    for count in range(1, 300):
        assert cpu_share(0, count, 1.0).low == 0.0
        assert cpu_share(count, count, 1.0).high == 1.0
