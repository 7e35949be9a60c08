"""Names with N for numbers."""

from __future__ import annotations

import pytest

from profiler.model.folded_names import folded


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("pjsip/distributor-0000001f", "pjsip/distributor-N"),
        ("stasis/p:endpoint:SIP/100-0000abcd", "stasis/p:endpoint:SIP/N-N"),
        (
            "stasis/m:channel:1/bridge:9f0c1a2b-0d3e-4f5a-8b6c-7d8e9f0a1b2c",
            "stasis/m:channel:N/bridge:N",
        ),
        ("PJSIP/alice-deadbeef/x", "PJSIP/alice-N/x"),
        ("PJSIP/alice-deadbeefs", "PJSIP/alice-deadbeefs"),
        ("CCSS_core", "CCSS_core"),
        ("", ""),
    ],
)
def test_numbers_in_names_are_folded(name: str, shown: str) -> None:
    assert folded(name) == shown
