"""A reload of thousands of PJSIP endpoints: work in containers that is no lookup."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import instance
from lab.instance import Instance, Options
from tests.live.load import meanwhile
from tests.live.running import profile

pytestmark = [pytest.mark.live, pytest.mark.root]

ENDPOINTS = 8_000
CLI_SECONDS = 60


@pytest.fixture(scope="module")
def asterisk() -> Iterator[Instance]:
    with instance.start(
        Options("22", f"live{os.getpid()}-reload", endpoints=ENDPOINTS)
    ) as reloaded:
        yield reloaded


def test_links_into_a_sorted_list_are_found_with_their_place(
    asterisk: Instance, tmp_path: Path
) -> None:
    def reload() -> None:
        asterisk.cli("module reload res_pjsip.so", CLI_SECONDS)

    with meanwhile(reload):
        result = profile(asterisk.pid, tmp_path / "result", "--full", "-F", "199", seconds=8)
    found = result.profile()
    (links,) = (use for use in found["operations"] if use["line"] == 163)
    assert (links["name"], links["function"]) == ("ao2_link", "sorcery_config_fields_cmp")
    assert links["file"] == "res_sorcery_config.c"
    assert links["cpu"] == max((use["cpu"] for use in found["operations"]), key=lambda c: c["low"])
    used = sum(thread["cpu_ratio"] for thread in found["threads"])
    assert sum(use["cpu"]["ratio"] for use in found["operations"]) <= used
    assert all(use["cpu"]["high"] <= used for use in found["operations"])
    # Others may be found beside it: how fast the machine is decides what else the reload does.
    finding = next(one for one in found["findings"] if one["id"] == "container-work")
    assert finding["title"].startswith("res_sorcery_config.c:163 sorcery_config_fields_cmp links ")
    assert "ao2_link res_sorcery_config.c:163 sorcery" in result.out
