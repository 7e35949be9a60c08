from __future__ import annotations

from profiler.leaks.quota import MAX_OBJECTS, Quota


def test_more_of_each_type_are_chosen_as_long_as_there_are_few() -> None:
    quota, quotas = Quota(), []
    for at in range(4):
        quota.begin_round(objects=at, changes=0, gone_ratio=at / 100)
        quotas.append(quota.birth_quota)
    assert quotas == [16, 32, 64, 64]
    quota.begin_round(objects=1_000, changes=0, gone_ratio=0.5)
    assert quota.birth_quota == 64


def test_objects_are_spread_over_the_run() -> None:
    quota = Quota()
    quota.begin_round(MAX_OBJECTS // 2, changes=0, gone_ratio=0.1)
    assert quota.birth_quota == 0
    quota.begin_round(MAX_OBJECTS // 2, changes=0, gone_ratio=0.5)
    assert quota.birth_quota > 0
    quota.begin_round(MAX_OBJECTS, changes=0, gone_ratio=1.0)
    assert quota.birth_quota == 0


def test_histories_are_cut_where_there_are_too_many_changes_for_this_time() -> None:
    quota = Quota()
    quota.begin_round(objects=10, changes=200_000, gone_ratio=0.1)
    assert quota.max_changes == 128
    quota.begin_round(objects=10, changes=200_000, gone_ratio=0.9)
    assert quota.max_changes == 4_096


def test_nothing_more_is_chosen_where_even_short_histories_are_too_many() -> None:
    quota = Quota()
    quota.begin_round(objects=10, changes=600_000, gone_ratio=1.0)
    assert (quota.birth_quota, quota.max_changes) == (0, 128)
