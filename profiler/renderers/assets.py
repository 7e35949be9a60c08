"""The style sheets and the script that lie beside the renderers."""

from __future__ import annotations

from importlib import resources


def read_asset(name: str) -> str:
    """Return the text of a file of this package."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
