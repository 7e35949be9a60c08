from __future__ import annotations

from dataclasses import replace

from profiler.model.profile import ContainerUse
from profiler.model.search import Search
from profiler.report.container_labels import told_apart
from tests.examples import looked_up, looking_up


def container(
    function: str | None, address: int = 0x10, name: str | None = "dialogs", line: int | None = 7
) -> ContainerUse:
    site = replace(looking_up(Search.KEY, 1), file="chan_sip.c", line=line, function=function or "")
    use = looked_up(site, name=name, address=address)
    return use if function else replace(use, call_sites=())


def labels(*containers: ContainerUse) -> list[str]:
    return [one.label for one in told_apart(containers)]


def test_a_name_that_one_container_has_is_left_alone() -> None:
    assert labels(container("a"), container("b", name="peers")) == ["dialogs", "peers"]


def test_containers_of_one_name_are_called_by_who_uses_them() -> None:
    assert labels(container("find"), container("monitor", line=None), container("x", name="y")) == [
        "dialogs, used by chan_sip.c:7 find",
        "dialogs, used by chan_sip.c monitor",
        "y",
    ]


def test_their_most_expensive_call_site_is_the_one_that_counts() -> None:
    first = container("first")
    both = replace(first, call_sites=(*container("second").call_sites, *first.call_sites))
    assert labels(first, both)[1] == "dialogs, used by chan_sip.c:7 second"


def test_the_address_is_the_last_thing_that_tells_them_apart() -> None:
    assert labels(container("find", 0x10), container("find", 0x20), container("monitor")) == [
        "dialogs, used by chan_sip.c:7 find at 0x10",
        "dialogs, used by chan_sip.c:7 find at 0x20",
        "dialogs, used by chan_sip.c:7 monitor",
    ]
    assert labels(container(None, 0x10), container(None, 0x20)) == [
        "dialogs, at 0x10",
        "dialogs, at 0x20",
    ]


def test_those_without_a_name_have_their_address_already() -> None:
    assert labels(container("a", 0x10, None), container("b", 0x20, None)) == [
        "hash at 0x10",
        "hash at 0x20",
    ]
