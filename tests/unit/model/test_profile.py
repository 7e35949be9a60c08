from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.model.profile import CallSiteUse, LookupCounts
from tests.examples import field_story


@pytest.fixture(params=["container", "call site"])
def counts(request: pytest.FixtureRequest) -> LookupCounts | CallSiteUse:
    use = field_story().containers[0]
    return use.lookups if request.param == "container" else use.call_sites[0]


def test_where_nothing_is_estimated_the_bound_counts(counts: LookupCounts | CallSiteUse) -> None:
    known = replace(counts, estimated_total=20.0, estimated_low=12.0)
    assert known.total_or_bound == 20.0
    assert replace(known, estimated_total=0.0).total_or_bound == 0.0
    assert replace(known, estimated_total=None).total_or_bound == 12.0
