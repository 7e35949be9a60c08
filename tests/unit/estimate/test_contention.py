from __future__ import annotations

import pytest

from profiler.estimate.contention import do_wait


@pytest.mark.parametrize(
    ("lookups_ns", "ran_ns", "waits"),
    [
        (1_500, 1_000, False),
        (1_501, 1_000, True),
        (999, 1_000, False),
        (0, 0, False),
        (1, 0, True),
    ],
)
def test_lookups_wait_that_take_more_than_half_as_long_again_as_all_threads_run(
    lookups_ns: int, ran_ns: int, waits: bool
) -> None:
    assert do_wait(lookups_ns, ran_ns) is waits
