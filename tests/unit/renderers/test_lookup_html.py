from __future__ import annotations

import re
from dataclasses import replace

from profiler.renderers import lookup_html
from tests import examples


def test_containers_show_what_they_are_made_of() -> None:
    page = lookup_html.containers(examples.field_story())
    assert page.count("<tr>") == 3
    assert "55,585 to 55,702 elements in 7 buckets, chain 7,949 on average" in page
    assert "hash, sort, compare: tps_hash_cb, -, tps_cmp_cb" in page
    assert page.count('class="spark"') == 2


def test_uncounted_comparisons_are_not_called_zero() -> None:
    page = lookup_html.containers(examples.hostile())
    assert "<b>?</b><small>not measured</small>" in page


def test_call_sites_show_the_container_and_how_they_search_it() -> None:
    page = lookup_html.call_sites(examples.field_story())
    assert "in dialogs (dialog_cmp_cb), scanning every bucket" in page
    assert lookup_html.call_sites(examples.empty()) == ""


def test_a_long_table_is_cut_and_says_so() -> None:
    story = examples.field_story()
    many = tuple(replace(story.containers[1], address=index) for index in range(102))
    page = lookup_html.containers(replace(story, containers=many))
    assert page.count("<tr>") == 101
    assert "2 more are in profile.json." in page


def test_each_of_the_worst_containers_has_its_charts() -> None:
    page = lookup_html.histograms(examples.field_story())
    assert (
        re.findall(r'<p class="faint">(.*?)</p>', page)
        == [
            *("Comparisons per lookup", "Time per lookup"),
        ]
        * 2
    )


def test_growth_lists_what_changed_the_fastest_first() -> None:
    page = lookup_html.growth(examples.field_story())
    assert re.findall(r"<td>([+-]\d+)</td>", page) == ["+117", "+117", "-3", "-3"]
    story = examples.field_story()
    still = replace(story.containers[0], elements_end=55_585)
    assert "No container grew or shrank." in lookup_html.growth(replace(story, containers=(still,)))
