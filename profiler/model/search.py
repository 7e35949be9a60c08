"""By what a lookup searches its container. Pure."""

from __future__ import annotations

from enum import Enum


class Search(Enum):
    """By what a lookup searches."""

    KEY = "key"
    PARTIAL = "partial"
    OBJECT = "object"
    SCAN = "scan"  # by nothing: it visits every bucket
    UNKNOWN = "unknown"
