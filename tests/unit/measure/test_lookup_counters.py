from __future__ import annotations

import struct
from types import SimpleNamespace
from typing import Any

from profiler.measure.lookup_counters import LookupCounters
from profiler.wire.lookups import LookupCounter


class Map(dict[bytes, bytes]):
    """A BPF map in memory."""

    set = dict.__setitem__


def test_lookups_that_never_returned_are_added_to_those_the_programs_lost() -> None:
    counts = Map({struct.pack("<I", LookupCounter.FIRED): struct.pack("<Q", 1 << 40)})
    module: Any = SimpleNamespace(map=lambda name: {"lookup_counters": counts}[name])
    counters = LookupCounters(module)
    counters.add_unfinished(0)
    counters.add_unfinished(3)
    counters.add_unfinished(2)
    assert counters.read() == {
        counter: {LookupCounter.FIRED: 1 << 40, LookupCounter.UNFINISHED: 5}.get(counter, 0)
        for counter in LookupCounter
    }
