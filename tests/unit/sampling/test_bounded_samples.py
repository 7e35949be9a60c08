from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from profiler.sampling.bounded_samples import BoundedSamples


def test_every_sample_is_kept_while_there_is_room() -> None:
    samples = BoundedSamples(most=5)
    for number in range(5):
        samples.add(number, 7, 9)
    assert samples.kept == [(number, 7, 9) for number in range(5)]
    assert (samples.seen, samples.one_in) == (5, 1)


@given(st.integers(1, 50), st.integers(0, 5_000))
def test_what_is_kept_is_bounded_and_in_order(most: int, seen: int) -> None:
    samples = BoundedSamples(most)
    for number in range(seen):
        samples.add(number, 0, 0)
    times = [time_ns for time_ns, _, _ in samples.kept]
    assert len(times) <= most
    assert times == sorted(times)
    assert samples.seen == seen


def test_threads_that_alternate_and_early_and_late_samples_are_kept_alike() -> None:
    samples = BoundedSamples(most=4_000)
    for number in range(100_000):
        samples.add(number, 0, number % 2)
    assert samples.one_in == 32
    expected = 100_000 / 32
    standard_deviation = expected**0.5
    assert abs(len(samples.kept) - expected) < 4 * standard_deviation
    for tid in (0, 1):
        found = sum(sample[2] == tid for sample in samples.kept)
        assert abs(found - expected / 2) < 4 * standard_deviation
    early = sum(sample[0] < 50_000 for sample in samples.kept)
    assert abs(early - expected / 2) < 4 * standard_deviation
