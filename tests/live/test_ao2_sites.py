"""The analysed places of the packaged Asterisk; test_counts counts with probes on them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.instance import Instance
from profiler.asterisk.ao2_code import Ao2Code, analyse
from profiler.process.memory import TargetMemory
from tests.compiled import image_of
from tests.groundtruth import KINDS, box

pytestmark = [pytest.mark.live, pytest.mark.root]


def executable(asterisk: Instance) -> Path:
    return Path(f"/proc/{asterisk.pid}/exe")


@pytest.fixture(scope="module")
def code(asterisk: Instance) -> Ao2Code:
    return analyse(image_of(executable(asterisk)))


@pytest.mark.parametrize("kind", ["hash", "list", "rbtree"])
def test_the_tables_are_those_of_live_containers(
    asterisk: Instance, code: Ao2Code, kind: str
) -> None:
    maps = Path(f"/proc/{asterisk.pid}/maps").read_text().splitlines()
    base = min(int(line.split("-")[0], 16) for line in maps if line.endswith("/asterisk"))
    with box(asterisk, kind, KINDS[kind]) as target:
        data = TargetMemory(asterisk.pid).read(target.address, 8)
    assert data is not None
    table = int.from_bytes(data, "little") - base
    tables = [(v.kind, v.address) for v in code.vtables if v.address == table]
    assert tables == [("rbtree" if kind == "rbtree" else "hash", table)]


PLACES = {
    "16": {"6d410": (["6d800"], ["6d91d"], ["6d93b"])},
    "22": {
        "76ba0": (["77267"], ["76fd5"], ["76d88", "772d8"]),
        "77530": (["77a20"], ["77a4d"], ["778b1", "77bcd"]),
    },
}


def test_places_of_the_packaged_builds(asterisk: Instance, code: Ao2Code) -> None:
    """As read in the disassembly of 16.28.0~dfsg-0+deb11u4 and 22.10.1+dfsg."""
    build_ids = {"16": "6f340f41610c", "22": "4988a4fcb794"}
    version = asterisk.options.version
    assert code.traversals
    if not (image_of(executable(asterisk)).elf.build_id or "").startswith(build_ids[version]):
        return  # another revision of the package: test_counts says whether it is understood
    found = {
        f"{t.start:x}": (
            [f"{site.vaddr:x}" for site in t.release_sites],
            [f"{site.vaddr:x}" for site in t.unlock_sites],
            [f"{site.vaddr:x}" for site in t.exhausted_sites],
        )
        for t in code.traversals
    }
    assert found == PLACES[version]
