"""Who leaks, on the terminal; tests/golden/leaks has whole reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from profiler.model.leaks import LeaksProfile, Receiver
from profiler.renderers.terminal.leaks_text import report
from profiler.renderers.words.lines import WIDTH
from tests import leak_profiles as examples
from tests.leak_profiles import HELD, LEAKING, LINKED, profile


def shown(leaks: LeaksProfile) -> str:
    """Return the text without its line breaks."""
    return " ".join(" ".join(line.text.split()) for line in report(leaks))


@pytest.mark.parametrize("make", examples.EXAMPLES.values(), ids=examples.EXAMPLES)
def test_lines_are_printable_and_fit_into_eighty_columns(make: Callable[[], LeaksProfile]) -> None:
    lines = [line.text for line in report(make())]
    assert all(line.isprintable() for line in lines)
    assert max(map(len, lines)) <= WIDTH
    assert len(lines) < 700


def test_a_suspect_shows_where_its_reference_went() -> None:
    text = shown(profile(LEAKING))
    assert "1. ~sip_destroy_peer, allocated at chan_sip.c:31698 build_peer" in text
    assert "350 of 352 survivors of that age keep one reference for 30 s or more" in text
    assert "taken at chan_sip.c:17102 parse_register_contact" in text
    assert "called by ~register_verify <- ~do_monitor ~register_verify got it" in text
    assert "others gave it back at chan_sip.c:17160 parse_register_contact (1 each)" in text
    assert "with it live on: 350 of ~endpoint_dtor, 1,050 of ~tps_taskprocessor_dtor" in text


@pytest.mark.parametrize(
    ("others", "releases", "text"),
    [
        (("~give",), (), "~f got it, and did not give it back; ~give got it so, too, and did"),
        (("~f",), (), "~f got it, and did not give it back each time others gave it back"),
        (("~g", "~f"), (), "did not give it back each time; ~g got it so, too, and did others"),
        (("~g",), ("a.c:1 f",), "and did. It gives back other references to them at a.c:1 f o"),
    ],
)
def test_who_got_it_is_said_with_those_who_gave_it_back(
    others: tuple[str, ...], releases: tuple[str, ...], text: str
) -> None:
    receiver = Receiver("~f", others, releases)
    assert text in shown(profile(replace(LEAKING, receiver=receiver)))


def test_where_none_was_given_back_it_says_so() -> None:
    text = shown(profile(LINKED))
    assert "no object was seen to give it back" in text
    assert "linked into container of state.c (~state_cmp), which grows" in text
    assert "others kept it" not in text


def test_what_another_suspect_holds_has_no_rank_of_its_own() -> None:
    assert " 2. " not in shown(profile(LEAKING, HELD))


def test_a_short_run_says_that_it_was_short() -> None:
    assert "try a longer --duration" in shown(examples.healthy())
    assert "try a longer" not in shown(profile())


def test_all_objects_are_accounted_for() -> None:
    text = shown(profile())
    assert "20,000 objects born" in text
    assert "5,420 followed, 14,570 not chosen, 10 without room" in text
    assert "4,999 were freed, 413 are alive, 8 not known" in text


def test_more_suspects_than_fit_are_counted() -> None:
    others = (replace(LEAKING, agreeing=at) for at in range(13))
    assert "3 types more" in shown(profile(*others))
