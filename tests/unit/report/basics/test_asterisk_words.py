from __future__ import annotations

import json
from pathlib import Path

import pytest

from profiler.model.search import Search
from profiler.report.basics.asterisk_words import container_name, search_of

SCHEMA = Path(__file__).parents[4] / "docs/profile.schema.json"


@pytest.mark.parametrize(
    ("entry", "flags", "search"),
    [
        ("__ao2_find", 0x20, Search.OBJECT),
        ("__ao2_find", 0x41, Search.KEY),
        ("__ao2_callback", 0x86, Search.PARTIAL),
        ("__ao2_callback", 0x06, Search.SCAN),
        ("__ao2_find", 0xE0, Search.UNKNOWN),
        ("__ao2_unlink", 0x00, Search.OBJECT),
    ],
)
def test_a_search_is_known_by_its_flags(entry: str, flags: int, search: Search) -> None:
    assert search_of(entry, flags) is search


def test_the_schema_lists_every_kind_of_search() -> None:
    sites = json.loads(SCHEMA.read_text())["properties"]["containers"]["items"]["properties"]
    search = sites["call_sites"]["items"]["properties"]["search"]
    assert search["enum"] == [kind.value for kind in Search]


@pytest.mark.parametrize(
    ("files", "comparator", "name"),
    [
        ({"taskprocessor.c"}, "tps_cmp_cb", "taskprocessors (tps_cmp_cb)"),
        ({"main/taskprocessor.c"}, None, "taskprocessors"),
        ({"channel.c", "channelstorage_ao2_legacy.c"}, None, "channels"),  # two files, one name
        ({"taskprocessor.c", "res_own.c"}, None, "taskprocessors"),
        ({"res_own.c"}, "own_cmp", "container of res_own.c (own_cmp)"),
        ({"a/res_own.c", "b/res_own.c"}, None, "container of res_own.c"),
        ({"channel.c", "cdr.c"}, "some_cmp", "some_cmp"),
        ({"channel.c", "cdr.c"}, None, None),
        ({"res_own.c", "res_other.c"}, None, None),
        (set(), "some_cmp", "some_cmp"),
        (set(), None, None),
    ],
)
def test_a_container_is_called_by_the_files_that_look_into_it(
    files: set[str], comparator: str | None, name: str | None
) -> None:
    assert container_name(files, comparator) == name
