"""Who links into containers of a real Asterisk that grow."""

from __future__ import annotations

import pytest

from lab.instance import Instance
from tests.live.link_runs import linking_functions, recorded, recorded_growing

pytestmark = [pytest.mark.live, pytest.mark.root]


def test_links_are_counted_by_who_links(asterisk: Instance) -> None:
    counts = linking_functions(recorded_growing(asterisk, 12))
    assert counts["enlist"] > 10, counts


def test_without_a_container_that_grows_no_link_is_trapped(asterisk: Instance) -> None:
    links = recorded(asterisk, 5).links
    assert links is not None
    assert (links.accounting.fired, links.covered_ns, links.stacks) == (0, 0, ())
