"""`make kernels`: the profiler on the kernels that users have. Writes docs/kernels.md.

Exits with 1 where a kernel that ran lacks a feature. A kernel that cannot be had was "not run".
"""

from __future__ import annotations

import argparse
import compileall
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from lab import cache, guest, kernels, module, root
from lab.errors import LabError
from tests.bpf.unwinding import compile_program
from tests.kernels.features import LAB
from tests.kernels.table import Tried, parse_output, render, replace_tables

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs/kernels.md"
_VERSIONS = ("16", "22")
GUEST_S = 3600.0  # each feature has a limit of its own


def prepare(folder: Path) -> None:
    """Make what guests would make slowly."""
    roots = [root.ensure(version) for version in (*_VERSIONS, "sipp")]
    modules = [module.ensure(version, root.ensure(version)) for version in _VERSIONS]
    parts = [path.relative_to(cache.directory()) for path in (*roots, *modules)]
    subprocess.run(["tar", "-c", "-C", cache.directory(), "-f", folder / LAB, *parts], check=True)
    compile_program(folder, "-O2")
    for part in ("lab", "profiler", "tests"):
        compileall.compile_dir(ROOT / part, quiet=2)


def try_kernel(folder: Path, version: str) -> Tried:
    """Try all features on one kernel, and say so when it is done."""
    used_by = kernels.SOURCES[version].used_by
    try:
        directory = kernels.ensure(version)
    except LabError as error:
        print(f"{version}: not run: {error.message}", flush=True)
        return Tried(version, used_by, why_not=error.message)
    started = time.monotonic()
    command = (sys.executable, "-m", "tests.kernels.features", str(folder))
    try:
        output = guest.run(version, command, GUEST_S).output
    except guest.UnfinishedError as error:
        output = error.output
        print(f"{version}: {error.message}", flush=True)
    packages = tuple((directory / kernels.STAMP).read_text().split())
    tried = Tried(version, used_by, packages, *parse_output(output))
    print(f"{version}: done after {time.monotonic() - started:.0f} s", flush=True)
    for outcome in tried.outcomes:
        print(f"  {outcome.seconds:4d} s  {outcome.state:6}  {outcome.feature}  {outcome.detail}")
    if tried.failures():
        print(output, flush=True)
    return tried


def try_all(versions: Sequence[str]) -> tuple[Tried, ...]:
    """Try kernels, as many at a time as there are CPUs."""
    with tempfile.TemporaryDirectory(prefix="ebpf-prof-kernels-") as temporary:
        folder = Path(temporary)
        prepare(folder)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return tuple(pool.map(partial(try_kernel, folder), versions))


def main() -> int:
    """Try the kernels that were asked for; write the document when these were all."""
    parser = argparse.ArgumentParser(prog="tests.kernels")
    parser.add_argument("versions", nargs="*", help=", ".join(kernels.SOURCES))
    versions = parser.parse_args().versions or tuple(kernels.SOURCES)
    os.chdir(ROOT)  # guests start there
    try:
        tried = try_all(versions)
    except LabError as error:
        print(f"lab: {error.message}\nhint: {error.hint}", file=sys.stderr)
        return 1
    if tuple(versions) == tuple(kernels.SOURCES):
        DOCUMENT.write_text(replace_tables(DOCUMENT.read_text(), render(tried)))
    missing = [f"{one.version}: {row.feature}" for one in tried for row in one.failures()]
    print("\n".join(f"missing on {line}" for line in missing) or "nothing is missing")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
