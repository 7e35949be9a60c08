"""What containers are called."""

from __future__ import annotations

from dataclasses import replace

from profiler.model.leaks import ChangeKind, LinkCount
from profiler.model.recording import CallSite
from profiler.report.leaks.watched_containers import container_labels, links_by_container
from tests.leak_examples import RECORDING

[HASH] = RECORDING.containers
OTHER = replace(HASH, address=0x9100)
TASKS = CallSite("taskprocessor.c", 1_083, "allocate")
LINK = LinkCount(ChangeKind.LINK, HASH.address, 0, 1)


def test_they_are_called_by_who_links_and_by_their_comparators() -> None:
    known = replace(RECORDING, sites=(TASKS,), links=(LINK,))
    assert container_labels(known) == {0x9000: "taskprocessors (destroy)"}
    assert container_labels(RECORDING) == {0x9000: "container of two.c (destroy)"}


def test_those_of_one_name_and_those_without_have_their_addresses() -> None:
    both = replace(RECORDING, links=(), containers=(HASH, OTHER))
    assert container_labels(both) == {0x9000: "destroy at 0x9000", 0x9100: "destroy at 0x9100"}
    bare = replace(HASH, comparator=None, kind="list")
    nameless = replace(RECORDING, links=(), containers=(bare,))
    assert container_labels(nameless) == {0x9000: "list at 0x9000"}


def test_links_are_those_of_one_container() -> None:
    both = replace(RECORDING, links=(LINK, replace(LINK, container=0x9100)))
    assert links_by_container(both)[HASH.address] == [LINK]
