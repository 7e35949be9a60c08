from __future__ import annotations

import struct
from typing import Any

from profiler.counting.lookup_counters import LookupCounters
from profiler.wire.lookups import LookupCounter
from tests.unit.fake_maps import Module


def test_lookups_that_never_returned_are_added_to_those_the_programs_lost() -> None:
    module: Any = Module()
    fired = struct.pack("<I", LookupCounter.FIRED)
    module.map("lookup_counters").set(fired, struct.pack("<Q", 1 << 40))
    counters = LookupCounters(module)
    counters.add_unfinished(0)
    counters.add_unfinished(3)
    counters.add_unfinished(2)
    assert counters.read() == {
        counter: {LookupCounter.FIRED: 1 << 40, LookupCounter.UNFINISHED: 5}.get(counter, 0)
        for counter in LookupCounter
    }
