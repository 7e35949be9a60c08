"""Where results go: into a folder, one file, or the standard output; the name's end says which."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from profiler.errors import UsageError

if TYPE_CHECKING:
    from profiler.files.output_folder import OutputFolder

RECORDING = "recording"
# Of a file's name; where two fit, the first here counts.
EXTENSIONS = {
    ".speedscope.json": "speedscope",
    ".json": "json",
    ".html": "html",
    ".svg": "svg",
    ".folded": "folded",
    ".pb.gz": "pprof",
    ".recording": RECORDING,
    ".leaks": RECORDING,
}
NO_TEXT = ("pprof", RECORDING)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where results go."""

    path: Path | None  # None: to the standard output
    format: str | None = None  # None: a folder with a file of each

    @property
    def stem(self) -> str:
        """The file's name without its extension."""
        name = self.path.name if self.path else ""
        return name.removesuffix(self.extension)

    @property
    def extension(self) -> str:
        """The extension of the file's name, "" if it is none of ours."""
        name = self.path.name if self.path else ""
        return next((name[-len(end) :] for end in EXTENSIONS if name.lower().endswith(end)), "")


def parse_destination(
    output: str | None, format: str | None, as_json: bool = False
) -> Destination | None:
    """Return where -o and -f send results, None where nothing is said; raises UsageError.

    `as_json`: --json, which wants the standard output as well.
    """
    if output is None:
        if format is not None:
            raise UsageError(f"-f {format} does not say where to", f"-o FILE -f {format}")
        return None
    if not output:
        raise UsageError("-o '' names no folder and no file", "-o FOLDER, or no -o at all")
    if output == "-":
        if as_json:
            raise UsageError("-o - and --json both want the standard output", "-o - -f json")
        return _standard_output(format)
    destination = Destination(Path(output), format)
    is_folder = output.endswith("/") or os.path.isdir(output)  # noqa: PTH112  # raises never
    if format is not None and is_folder:
        raise UsageError(f"{output!r} is a folder, -f writes one file", f"-o FILE -f {format}")
    if format is not None or is_folder:
        return destination
    return Destination(Path(output), EXTENSIONS.get(destination.extension.lower()))


def parse_recording(output: str | None) -> Destination | None:
    """Return the file that -o names where there is only a recording; raises UsageError."""
    if output is None:
        return None
    if output in ("", "-") or output.endswith("/") or os.path.isdir(output):  # noqa: PTH112
        raise UsageError(f"-o {output!r} names no file", "-o run.leaks")
    return Destination(Path(output), RECORDING)


@contextmanager
def opened(
    destination: Destination, may_replace: Callable[[OutputFolder], bool] | None = None
) -> Iterator[OutputFolder | None]:
    """Open the folder that is written into, None for the standard output; raises UsageError."""
    from profiler.files import output_folder as files  # which takes long to import
    from profiler.files.owner import find_owner

    owner = find_owner(os.environ, os.geteuid())
    if destination.path is None:
        yield None
    elif destination.format is not None:
        with files.parent_folder(destination.path, owner) as folder:
            yield folder
    else:
        with files.output_folder(destination.path, owner, may_replace or files.never) as folder:
            yield folder


def _standard_output(format: str | None) -> Destination:
    if format is None:
        raise UsageError("-o - does not say in which format", "-o - -f folded")
    if format in NO_TEXT and sys.stdout.isatty():
        raise UsageError(
            f"a terminal shows no {format}, which is binary", f"-o - -f {format} > FILE"
        )
    return Destination(None, format)
