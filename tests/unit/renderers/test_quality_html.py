from __future__ import annotations

import re

from profiler.renderers import quality_html
from tests import examples


def test_the_headline_is_the_worst_of_each_kind() -> None:
    tiles = re.findall(
        r"<b>(.*?)</b><small>(.*?)</small>", quality_html.tiles(examples.field_story())
    )
    assert tiles == [
        ("98 %", "CPU of the busiest thread, chan_sip do_monitor"),
        ("87 %", "of the window in lookups in taskprocessors (tps_cmp_cb)"),
        ("21,829", "container lookups a second"),
        ("0.4 %", "of one CPU was the cost, of 1 % allowed"),
    ]


def test_a_headline_needs_only_the_cost() -> None:
    tiles = quality_html.tiles(examples.empty())
    assert tiles.count('class="tile"') == 1
    assert "without a budget" in tiles


def test_the_accounting_is_shown_whole() -> None:
    page = quality_html.quality(examples.field_story())
    cells = re.findall(r"<td>(.*?)</td>", page)
    assert cells == [
        *("samples", "5,938", "5,935", "1", "2", "0", "0"),
        *("lookups", "41,530", "41,214", "280", "22", "0", "14"),
    ]
    assert page.endswith(
        '<p class="good">cost to asterisk: 0.4 % of one CPU (budget 1 %)</p></section>'
    )
