from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.model.profile import Chain, LookupCounts, Profile
from profiler.renderers.words.uses import (
    Estimate,
    all_lookups,
    call_site_uses,
    container_uses,
    shape,
)
from tests import examples


def test_a_call_site_is_estimated_by_its_count_and_means() -> None:
    worst = call_site_uses(examples.field_story())[0]
    assert worst.label == "taskprocessor.c:776 ast_taskprocessor_create_with_listener"
    assert worst.place == "in taskprocessors (tps_cmp_cb), by key"
    assert worst.estimated_duration_ns == pytest.approx(665_141.0 * 1_649_000_000 / 23_225)
    assert worst.estimated_comparisons == pytest.approx(665_141.0 * 175_178_445 / 23_215)


def test_uses_that_were_not_counted_have_no_comparisons() -> None:
    counted, uncounted = container_uses(examples.hostile())
    assert counted.estimated_comparisons == 5.57e9
    assert uncounted.estimated_comparisons is None


def test_a_narrow_interval_is_shown_by_half_of_its_width() -> None:
    use = container_uses(examples.field_story())[0]
    assert use.estimate == Estimate(738_412, (723_644, 753_180))
    assert use.estimate.error() == "± 2 %"


def test_wide_intervals_are_shown_by_their_limits() -> None:
    assert Estimate(1_000.0, (510.0, 1_500.0)).error() == "± 50 %"
    assert Estimate(1_000.0, (200.0, 5_000.0)).error() == "(200 to 5 k)"
    assert Estimate(1_000.0, (200.0, 5_000.0)).error(seconds=10) == "(20 to 500)"
    assert Estimate(0.0, (0.0, 0.0)).error() == Estimate(5.0).error() == ""


def test_a_number_that_nobody_can_know_is_shown_as_a_bound() -> None:
    assert Estimate(5_000.0, is_bound=True).rate(10) == "at least 500"
    assert Estimate(5_000.0).rate(10) == "500"


def unknown(profile: Profile) -> Profile:
    """Return the profile with an unknown number of lookups in its first container."""
    first, *others = profile.containers
    counts = replace(first.lookups, estimated_total=None, estimated_high=None)
    sites = tuple(replace(site, estimated_total=None) for site in first.call_sites)
    first = replace(first, lookups=counts, call_sites=sites)
    return replace(profile, containers=(first, *others))


def test_where_a_total_is_unknown_its_lower_end_is_what_there_is_at_least() -> None:
    profile = unknown(examples.field_story())
    assert container_uses(profile)[0].estimate == Estimate(723_644, is_bound=True)
    assert call_site_uses(profile)[0].estimate == Estimate(652_231.4856328539, is_bound=True)
    # The other container's lower end is 11,298 below its total.
    assert all_lookups(profile) == Estimate(723_644 + 560_022, is_bound=True)


def test_errors_of_containers_add_up_as_independent_ones() -> None:
    story = examples.field_story()
    counts = LookupCounts(10, 10, 0, 0, 0, 100.0, 97.0, 105.0, None)
    other = LookupCounts(10, 10, 0, 0, 0, 100.0, 96.0, 106.0, None)
    containers = (
        replace(story.containers[0], lookups=counts),
        replace(story.containers[1], lookups=other),
    )
    whole = all_lookups(replace(story, containers=containers))
    assert whole.total == 200.0
    assert whole.interval == pytest.approx((195.0, 207.8102))
    assert all_lookups(examples.empty()) == Estimate(0.0, (0.0, 0.0))


def test_a_shape_says_only_what_is_known() -> None:
    container = examples.field_story().containers[0]
    assert shape(container) == (
        "55,585 to 55,702 elements in 7 buckets, chain 7,949 on average, 8,104 at most"
    )
    tree = replace(container, buckets=None, elements_end=None, chain=Chain(None, None, None))
    assert shape(tree) == "55,585 elements"
    assert shape(replace(tree, elements_start=None)) == ""


def test_histograms_of_nothing_but_zeros_are_shown_but_for_sort_calls() -> None:
    zeros = examples.quantiles({(0, 1): 3})
    use = replace(
        container_uses(examples.field_story())[0],
        comparisons=zeros,
        sort_calls=zeros,
        duration_ns=zeros,
    )
    assert [title for title, _ in use.histograms()] == ["Comparisons per lookup", "Time per lookup"]


def test_a_container_that_is_called_by_its_place_has_no_other() -> None:
    story = examples.field_story()
    unnamed = replace(story.containers[0], name=None)
    (use,) = container_uses(replace(story, containers=(unnamed,)))
    assert (use.label, use.place) == ("hash at 0x7f3a5c0012a8", "")
