"""Which probes follow objects."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from profiler.binary.code_image import CodeImage
from profiler.errors import ProbeError
from profiler.leaks import plan
from profiler.leaks.plan import plan_objects
from profiler.wire.leaks import ObjectPlace
from tests.compiled import assemble
from tests.unit.asterisk.test_object_code import LOADED, REFERENCE, WHOLE

ENTRIES = "".join(
    f"FUNCTION {name}\n push %rbx\n pop %rbx\n ret\nEND\n"
    for name in ("__ao2_link", "__ao2_unlink")
)
REF = REFERENCE.replace("{destroy}", LOADED).replace("{kept}", "rbx")


def planner(monkeypatch: pytest.MonkeyPatch, image: CodeImage) -> Any:
    loaded = SimpleNamespace(bias=0x1000)
    monkeypatch.setattr(plan, "path_of", lambda _loaded: "/proc/7/fd/3")
    return SimpleNamespace(executable=lambda: loaded, image=lambda _loaded: image)


def places(probes: tuple[plan.ObjectProbe, ...]) -> list[ObjectPlace]:
    return [ObjectPlace(probe.point.cookie >> 56) for probe in probes]


def test_all_that_happens_to_an_object_has_a_probe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = assemble(tmp_path, WHOLE + REF + ENTRIES)
    found = plan_objects(planner(monkeypatch, image))
    assert places(found.all) == [
        *(ObjectPlace.ALLOC, ObjectPlace.ALLOC),
        *(ObjectPlace.REFERENCE, ObjectPlace.LINK, ObjectPlace.UNLINK),
    ]
    assert places(found.frees) == [ObjectPlace.FREE]
    assert [probe.point.with_return for probe in found.all] == [True, True, False, False, False]
    assert {probe.point.address - probe.site.vaddr for probe in found.all} == {0x1000}
    # While a busy probe is written, others wait: it is placed apart.
    assert [probe.point.is_busy for probe in found.all] == [False, False, True, False, False]


@pytest.mark.parametrize("lacking", ["__ao2_ref", "__ao2_link", "__ao2_alloc"])
def test_without_one_of_the_functions_nothing_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    body = (WHOLE + REF + ENTRIES).replace(f"FUNCTION {lacking}", "FUNCTION other")
    image = assemble(tmp_path, body)
    with pytest.raises(ProbeError, match=lacking):
        plan_objects(planner(monkeypatch, image))


def test_asterisk_13_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = assemble(tmp_path, WHOLE + "FUNCTION __ao2_find_debug\n ret\nEND\n")
    with pytest.raises(ProbeError, match="13 or older"):
        plan_objects(planner(monkeypatch, image))
