"""The lookup programs pass the verifier in every way that they are built, and leave nothing."""

from __future__ import annotations

import pytest

from profiler.probes.attach import VARIANTS, Variant
from tests.programs import lookup_programs
from tests.ways import way_name

pytestmark = pytest.mark.root

KNOWN = {
    "EXHAUSTED_SITES": 1,
    "UNLOCK_SITES": 0,
    "END_SITES": 1,
    "INSERT_SITES": 1,
    "VERIFY": 0,
    "CALL_SITE_ARGUMENTS": 1,
    "RETURNS": 1,
}
UNLOCK = {**KNOWN, "EXHAUSTED_SITES": 0, "UNLOCK_SITES": 1}


@pytest.mark.parametrize("variant", VARIANTS, ids=way_name)
@pytest.mark.parametrize(
    "known",
    [
        KNOWN,
        {**KNOWN, "CALL_SITE_ARGUMENTS": 0},
        {**KNOWN, "RETURNS": 0},
        {**KNOWN, "VERIFY": 1},
        UNLOCK,
        {**UNLOCK, "RETURNS": 0},
        {**UNLOCK, "UNLOCK_SITES": 0},
        {**UNLOCK, "UNLOCK_SITES": 0, "END_SITES": 0},
    ],
    ids=["all", "13", "no returns", "verify", "unlock", "unlock, no returns"]
    + ["no unlock", "entries only"],
)
def test_programs_load(variant: Variant, known: dict[str, int]) -> None:
    if variant.why_not_here():
        return  # this kernel lacks it
    with lookup_programs(known, [variant]) as programs:
        assert not programs.attached
        loaded = {program.name for program in programs.module.programs()}
        assert {"lookup_count", "lookup_walk", "lookup_walk_tree", "lookup_commit"} <= loaded
