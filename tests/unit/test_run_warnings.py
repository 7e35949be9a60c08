from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from profiler.run_warnings import missing_samples


@pytest.mark.parametrize(
    ("fired", "by_cpu", "words"),
    [
        (951, False, None),
        (949, False, "51 of 1,000 are missing; a thread's first sample"),
        (851, True, None),
        (849, True, "151 of 1,000 are missing; a CPU's timer waits"),
        (1_200, True, None),
    ],
)
def test_missing_samples_are_told(fired: int, by_cpu: bool, words: str | None) -> None:
    accounting = SimpleNamespace(fired=fired)
    observed: Any = SimpleNamespace(cpu_s=10, sampled_by_cpu=by_cpu, sample_accounting=accounting)
    told = missing_samples(observed, 100)
    assert told is None if words is None else told is not None and words in told


def test_few_samples_are_missing_by_chance() -> None:
    accounting = SimpleNamespace(fired=70)
    observed: Any = SimpleNamespace(cpu_s=1, sampled_by_cpu=True, sample_accounting=accounting)
    assert missing_samples(observed, 100) is None
    accounting.fired = 69
    assert missing_samples(observed, 100) is not None
