from __future__ import annotations

from profiler.leaks.pace import MAX_OBJECTS, Pace


def test_more_of_each_type_are_chosen_as_long_as_there_are_few() -> None:
    pace, quotas = Pace(), []
    for at in range(4):
        pace.begin_round(objects=at, changes=0, gone_ratio=at / 100)
        quotas.append(pace.birth_quota)
    assert quotas == [16, 32, 64, 64]
    pace.begin_round(objects=1_000, changes=0, gone_ratio=0.5)
    assert pace.birth_quota == 64


def test_objects_are_spread_over_the_run() -> None:
    pace = Pace()
    pace.begin_round(MAX_OBJECTS // 2, changes=0, gone_ratio=0.1)
    assert pace.birth_quota == 0
    pace.begin_round(MAX_OBJECTS // 2, changes=0, gone_ratio=0.5)
    assert pace.birth_quota > 0
    pace.begin_round(MAX_OBJECTS, changes=0, gone_ratio=1.0)
    assert pace.birth_quota == 0


def test_histories_are_cut_where_there_are_too_many_changes_for_this_time() -> None:
    pace = Pace()
    pace.begin_round(objects=10, changes=200_000, gone_ratio=0.1)
    assert pace.max_changes == 128
    pace.begin_round(objects=10, changes=200_000, gone_ratio=0.9)
    assert pace.max_changes == 4_096


def test_nothing_more_is_chosen_where_even_short_histories_are_too_many() -> None:
    pace = Pace()
    pace.begin_round(objects=10, changes=600_000, gone_ratio=1.0)
    assert (pace.birth_quota, pace.max_changes) == (0, 128)
