"""Containers that grow, on the terminal; tests/golden/leaks has whole reports."""

from __future__ import annotations

from dataclasses import replace

from profiler.model.leaks import GrowingContainer
from profiler.renderers.terminal.leak_containers_text import containers
from tests.leak_profiles import GROWING


def shown(*growing: GrowingContainer) -> str:
    """Return the text without its line breaks."""
    lines = containers(growing, {"~sip_destroy_peer": 4})
    return " ".join(" ".join(line.text.split()) for line in lines)


def test_without_one_that_grows_there_is_no_section() -> None:
    assert containers((), {}) == []


def test_who_links_and_who_unlinks_is_shown() -> None:
    text = shown(GROWING)
    assert "57,748 to 60,503 elements, 1,561 more a minute" in text
    assert "linked at taskprocessor.c:1083 __allocate_taskprocessor (1,900 seen)" in text
    assert "called by ast_taskprocessor_create_with_listener <- ~endpoint_internal_create" in text
    assert "unlinked at taskprocessor.c:1196 ast_taskprocessor_unreference (800 seen)" in text


def test_a_caller_that_the_place_does_not_name_is_shown() -> None:
    inlined = replace(GROWING, stack=("~outer", "~build_peer"))
    assert "called by ~outer <- ~build_peer" in shown(inlined)


def test_what_its_elements_are_and_which_suspect_keeps_them_is_shown() -> None:
    text = shown(GROWING)
    assert "of 1,300 elements followed from birth 1,053 were never unlinked, 7 not known" in text
    assert (
        "these are 1,050 of ~tps_taskprocessor_dtor, of suspect 4; 3 of objects of other_alloc"
        in text
    )
    assert "not known" not in shown(replace(GROWING, unknown=0))


def test_what_was_not_seen_is_said() -> None:
    unseen = replace(GROWING, linked_at=(), unlinked_at=(), linked=0, elements=())
    text = shown(unseen)
    assert "no element was seen to be linked" in text
    assert "no element was seen to be unlinked" in text
    assert "none of its elements was followed from birth" in text


def test_of_many_the_first_are_shown() -> None:
    text = shown(*(GROWING,) * 12)
    assert text.count("more a minute") == 3
    assert "9 more: see --json" in text
