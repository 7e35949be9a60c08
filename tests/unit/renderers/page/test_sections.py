from __future__ import annotations

from profiler.renderers.page.sections import contents, draw, section


def test_a_part_is_closed_unless_it_is_worth_the_room() -> None:
    assert draw(section("Call sites", "<a>")) == (
        '<details class="section" id="call-sites"><summary><h2>Call sites</h2></summary>'
        "&lt;a&gt;</details>"
    )
    assert ' id="findings" open>' in draw(section("Findings", is_open=True))


def test_contents_lead_to_each_part() -> None:
    made = contents([section("Growth"), section("UDP sockets")])
    assert '<a href="#growth">Growth</a> <a href="#udp-sockets">UDP sockets</a>' in made
