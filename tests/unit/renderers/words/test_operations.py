from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.model.cpu_share import CpuShare
from profiler.model.profile import ContainerPart, OperationUse
from profiler.renderers.words.operations import (
    containers_label,
    cpu_label,
    interval,
    operation_label,
)

USE = OperationUse("ao2_find", "main.c", 7, "asks", CpuShare(3, 0.1234, 0.1001, 0.1499), ())
THINGS, OTHERS = ContainerPart(1, "things", 0.7), ContainerPart(2, "others", 0.25)


def test_an_operation_is_called_by_its_name_and_place() -> None:
    assert operation_label(USE) == "ao2_find main.c:7 asks"
    assert operation_label(replace(USE, file=None, line=None)) == "ao2_find asks"


def test_the_interval_is_said_in_per_cent() -> None:
    assert interval(USE.cpu) == "10.0 to 15.0 %"


def test_a_share_comes_with_its_error() -> None:
    assert cpu_label(USE.cpu) == "12.3 % (10.0 to 15.0 %), 3 samples"
    assert cpu_label(replace(USE.cpu, is_divided=True)).endswith(", shared with other containers")


@pytest.mark.parametrize(
    ("parts", "label"),
    [
        ((replace(THINGS, ratio=1.0),), "in things"),
        ((THINGS, OTHERS), "in things 70 %, others 25 %"),
        (
            (THINGS, OTHERS, ContainerPart(3, "more", 0.05)),
            "in things 70 %, others 25 % and 1 more",
        ),
    ],
)
def test_its_containers_are_listed(parts: tuple[ContainerPart, ...], label: str) -> None:
    shared = ", shared by the time of lookups" if len(parts) > 1 else ""
    assert containers_label(replace(USE, containers=parts)) == label + shared


def test_why_its_container_is_not_known() -> None:
    assert containers_label(USE) == "container not known: none of its lookups was met"
    link = replace(USE, name="ao2_link")
    assert containers_label(link) == "container not known: windows measure lookups only"
