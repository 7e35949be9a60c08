"""What every page is put into. It needs nothing else, and a policy forbids it to load anything."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TextIO

from profiler.renderers.graphs.flamegraph import read_asset
from profiler.renderers.page.markup import Markup, text

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def write_page(
    title: str, parts: Iterable[Markup], out: TextIO, styles: Iterable[str], scripts: Iterable[str]
) -> None:
    """Write a page of these parts, with the assets of these names."""
    out.write(
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n"
        f"<style>\n{''.join(map(read_asset, styles))}</style>\n"
        "</head>\n<body>\n<main>\n"
    )
    out.writelines(f"{part}\n" for part in parts)
    out.write(
        f"</main>\n<script>\n{''.join(map(read_asset, scripts))}</script>\n</body>\n</html>\n"
    )
