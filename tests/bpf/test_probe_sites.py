"""Probes at every chosen place of real programs: each fires once per call and changes nothing."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from profiler.binary.probe_sites import Site, SiteRefusedError, choose_site
from profiler.binary.symtab import read_symtab
from profiler.linux.bpf import UprobeSite, enable_program_statistics
from profiler.linux.module import Program
from profiler.linux.probe_link_kinds import load_empty_program
from tests.compiled import build, image_of
from tests.ways import plain_links

pytestmark = pytest.mark.root

SOURCE = (Path(__file__).parent / "functions.c").read_text()
BUILDS = (
    "-O0",
    "-O1",
    "-O2",
    "-O3",
    "-Os",
    "-O2 -fcf-protection",
    "-O2 -fno-omit-frame-pointer -fstack-protector-all",
    "-O2 -fstack-clash-protection -mno-red-zone",
    "-O2 -mindirect-branch=thunk",
)


@pytest.fixture(scope="module", autouse=True)
def statistics_enabled() -> Iterator[None]:
    descriptor = enable_program_statistics()
    yield
    os.close(descriptor)


def attach(stack: ExitStack, path: Path, site: Site, pid: int, returns: bool = False) -> Program:
    kind = plain_links()
    program = Program("site", load_empty_program(kind.attach_type))
    stack.callback(program.close)
    place = [UprobeSite(site.file_offset, 0)]
    (link,) = kind.probe_links(program.descriptor, str(path), place, pid, returns)
    stack.callback(os.close, link.open())
    return program


def start(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=0
    )


def finish(process: subprocess.Popen[str]) -> dict[str, int]:
    output, _ = process.communicate("g", timeout=60)
    assert process.returncode == 0
    return {name: int(value) for name, value in re.findall(r"^(\w+) (\d+)$", output, re.M)}


def places(path: Path, names: list[str], returns: bool) -> dict[str, Site]:
    table = read_symtab(image_of(path).elf)
    assert table is not None
    image = image_of(path)
    found = {}
    for name in names:
        symbol = table.find(name)
        assert symbol is not None
        try:
            found[name] = choose_site(image, symbol.value, name, returns=returns)
        except SiteRefusedError as error:
            # Only these two are known to jump back to where they begin, in some builds.
            assert name in ("retry", "loop"), error
    return found


@pytest.mark.parametrize("flags", BUILDS)
@pytest.mark.parametrize("returns", [False, True])
def test_each_call_fires_once_and_computes_the_same(
    tmp_path: Path, flags: str, returns: bool
) -> None:
    path = build(tmp_path, SOURCE, *flags.split())
    truth = finish(start(path))
    sites = places(path, [name for name in truth if name != "sum"], returns)
    process = start(path)
    with ExitStack() as stack:
        programs = {
            name: attach(stack, path, site, process.pid, returns) for name, site in sites.items()
        }
        assert finish(process) == truth
        counts = {name: program.statistics().run_count for name, program in programs.items()}
    assert counts == {name: truth[name] for name in sites}
    assert len(sites) >= 12
