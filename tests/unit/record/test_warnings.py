from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from profiler.record.warnings import missing_samples


@pytest.mark.parametrize(("fired", "is_reported"), [(851, False), (849, True), (1_200, False)])
def test_missing_samples_are_reported(fired: int, is_reported: bool) -> None:
    accounting = SimpleNamespace(fired=fired)
    observed: Any = SimpleNamespace(cpu_s=10, sample_accounting=accounting)
    reported = missing_samples(observed, 100)
    assert (reported is not None) == is_reported
    assert reported is None or "151 of 1,000 are missing; threads that run for micro" in reported


def test_few_samples_are_missing_by_chance() -> None:
    accounting = SimpleNamespace(fired=70)
    observed: Any = SimpleNamespace(cpu_s=1, sample_accounting=accounting)
    assert missing_samples(observed, 100) is None
    accounting.fired = 69
    assert missing_samples(observed, 100) is not None
