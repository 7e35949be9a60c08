from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.cli.results import require_complete
from profiler.errors import IncompleteError
from profiler.model.recording import Accounting
from tests.examples import field_story


def test_strict_wants_nothing_lost() -> None:
    complete = replace(
        field_story(),
        sample_accounting=Accounting(10, 9, 1, 0, 0, 0),
        lookup_accounting=Accounting(5, 5, 0, 0, 0, 0),
    )
    require_complete(complete)
    cut = replace(complete, lookup_accounting=Accounting(5, 4, 0, 0, 0, 1))
    with pytest.raises(IncompleteError, match="1 lookups were lost, collided or truncated"):
        require_complete(cut)
    dead = replace(complete, target=replace(complete.target, exited=True))
    with pytest.raises(IncompleteError, match="ended before the time was over"):
        require_complete(dead)
    restarted = replace(dead, stopped_by="target restart")
    with pytest.raises(IncompleteError, match="restarted before the time was over"):
        require_complete(restarted)
