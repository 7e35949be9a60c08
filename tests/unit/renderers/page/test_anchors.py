from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from profiler.renderers.page.anchors import container_anchor, operation_anchor, slug
from tests import examples


@given(st.lists(st.text(), min_size=1))
def test_a_slug_needs_no_escaping(words: list[str]) -> None:
    assert re.fullmatch(r"[a-z0-9_.-]{0,80}", slug(*words))


def test_a_slug_can_be_read() -> None:
    assert slug("operation", "ao2_find main.c:7 asks") == "operation-ao2_find-main.c-7-asks"


def test_other_words_have_another_slug() -> None:
    long = "x" * 200
    words = [(long + "a",), (long + "b",), (long[:80],), ("\u00e4",), ("\u00f6",), ("plain",)]
    assert len({slug(*one) for one in words}) == len(words)


def test_names_do_not_depend_on_the_order() -> None:
    story = examples.field_story()
    first = story.containers[0]
    assert container_anchor(first) == f"container-{first.address:x}"
    assert operation_anchor(examples.operation(story, 9)) == (
        "operation-ao2_link-config.c-1234-loads"
    )
