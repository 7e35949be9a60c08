"""The analysis beside programs that tell where they released nodes and unlocked containers from."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from profiler.asterisk.ao2_code import ASTERISK_13, ASTERISK_14, Ao2Code, analyse
from profiler.binary.code_image import CodeImage
from profiler.binary.probe_sites import Site
from profiler.binary.symtab import read_symtab
from tests.compiled import build, image_of

SOURCE = (Path(__file__).parents[1] / "ao2_code" / "containers.c").read_text()
BUILDS = (
    "-O0",
    "-O1",
    "-O2",
    "-O3 -fno-partial-inlining",
    "-Os",
    "-O0 -fPIC",
    "-O2 -fPIC",
    "-O2 -no-pie -fno-pie",
    "-O2 -fcf-protection -fstack-clash-protection -fstack-protector-strong",
    "-O2 -mindirect-branch=thunk",
    "-O2 -mindirect-branch=thunk-inline",
    "-O2 -mindirect-branch=thunk -mindirect-branch-register",
    "-O2 -fno-omit-frame-pointer",
    "-O0 -DINLINE_REMOVAL",
    "-O2 -DINLINE_REMOVAL",
    "-O3 -DINLINE_REMOVAL",
    "-Os -fPIC -DINLINE_REMOVAL",
    "-O2 -mindirect-branch=thunk -mindirect-branch-register -DINLINE_REMOVAL",
)
CALL_BYTES = 5  # e8 and a displacement
# Runs the program and says when it comes to one of the addresses, between what it says itself.
GDB = """
import gdb, os

class Place(gdb.Breakpoint):
    def stop(self):
        os.write(1, b"place %d\\n" % self.number)
        return False

gdb.execute("starti", to_string=True)
with open("/proc/%d/maps" % gdb.selected_inferior().pid) as maps:
    base = int(maps.readline().split("-")[0], 16)
for offset in ({offsets}):
    Place("*%d" % (base + offset))
gdb.execute("continue", to_string=True)
"""


@dataclass(frozen=True)
class Built:
    """A stripped program, its analysis, and the truth from running it and from its symbols."""

    program: Path
    image: CodeImage
    found: Ao2Code
    releases: frozenset[int]
    unlocks: frozenset[int]
    symbols: dict[str, int]

    def name(self, address: int) -> str:
        names = [name for name, value in self.symbols.items() if value == address]
        assert len(names) == 1
        return names[0]


def run(folder: Path, flags: str) -> Built:
    program = build(folder, SOURCE, *flags.split(), "-w", "-rdynamic", "-pthread")
    output = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    table = read_symtab(image_of(program).elf)
    assert table is not None
    symbols = {table.name(index): table.values[index] for index in table.functions()}
    methods = ("v_table_hash", "v_table_rbtree")
    symbols |= {name: symbol.value for name in methods if (symbol := table.find(name))}
    subprocess.run(["strip", program], check=True)
    image = image_of(program)
    assert read_symtab(image.elf) is None
    base = image.elf.loads[0].address
    noted: dict[str, set[int]] = {"release": set(), "unlock": set(), "exhausted": set()}
    for line in output.splitlines():
        what, returns_to = line.split()
        noted[what].add(base + int(returns_to, 16) - CALL_BYTES)
    found = analyse(image)
    releases, unlocks = frozenset(noted["release"]), frozenset(noted["unlock"])
    return Built(program, image, found, releases, unlocks, symbols)


def passed(built: Built, sites: tuple[Site, ...]) -> list[tuple[str, str]]:
    """Return what the program does, in its order, and ("place", number) whenever it is at a site.

    Sites are numbered from 1.
    """
    base = built.image.elf.loads[0].address
    script = built.program.parent / "places.py"
    script.write_text(GDB.format(offsets="".join(f"{site.vaddr - base}, " for site in sites)))
    command = ["gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off", "-x", str(script)]
    run = subprocess.run(
        [*command, built.program],
        check=True,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    events = re.findall(r"^(release|unlock|exhausted|place) (\S+)$", run.stdout, re.MULTILINE)
    return [(what, which) for what, which in events]


@pytest.mark.parametrize("flags", BUILDS)
@pytest.mark.parametrize("family", ["", "-DASTERISK_13"])
def test_every_build_is_understood(tmp_path: Path, flags: str, family: str) -> None:
    built = run(tmp_path, f"{flags} {family}")
    traversals = built.found.traversals
    assert built.found.family == (ASTERISK_13 if family else ASTERISK_14)
    assert built.releases and built.unlocks
    assert {site.vaddr for t in traversals for site in t.release_sites} == built.releases
    assert {site.vaddr for t in traversals for site in t.unlock_sites} == built.unlocks
    sites = [site for t in traversals for site in (*t.release_sites, *t.unlock_sites)]
    for site in sites:
        assert site.emulated
        assert built.image.elf.read(site.file_offset, 1) == b"\xe8"
        assert site.instruction.startswith("call ")
    assert {entry for t in traversals for entry in t.entries} == {
        "__ao2_find",
        "__ao2_callback",
        "__ao2_callback_data",
        "__ao2_unlink",
        "__ao2_weakproxy_find",
    }
    assert all(built.name(t.start).startswith("internal_ao2_traverse") for t in traversals)
    assert [
        (v.kind, v.address, built.name(v.traverse_first), built.name(v.traverse_next))
        for v in built.found.vtables
    ] == [
        ("hash", built.symbols["v_table_hash"], "hash_first", "hash_next"),
        ("rbtree", built.symbols["v_table_rbtree"], "tree_first", "tree_next"),
    ]


@pytest.mark.parametrize("flags", BUILDS)
@pytest.mark.parametrize("family", ["", "-DASTERISK_13"])
def test_places_that_exhausted_traversals_pass_and_no_other(
    tmp_path: Path, flags: str, family: str
) -> None:
    built = run(tmp_path, f"{flags} {family}")
    sites = tuple(site for t in built.found.traversals for site in t.exhausted_sites)
    # -O0 and -Os test the node a second time, where all traversals come by.
    assert all(t.exhausted_sites for t in built.found.traversals) == bool(sites)
    assert bool(sites) == (flags[:3] not in ("-O0", "-Os"))
    if not sites:
        return
    assert all(site.emulated for site in sites)
    hits = passed(built, sites)
    assert {which for what, which in hits if what == "place"} == {
        str(number + 1) for number in range(len(sites))
    }
    events = [what for what, _ in hits]
    assert events.count("exhausted") > 50 and events.count("release") > 30
    found_none = [index for index, event in enumerate(events) if event == "exhausted"]
    came_by = [index for index, event in enumerate(events) if event == "place"]
    assert came_by == [index + 1 for index in found_none]


def test_a_program_without_containers(tmp_path: Path) -> None:
    program = build(tmp_path, "int main(void) { return 0; }")
    found = analyse(image_of(program))
    assert (found.entries, found.traversals, found.vtables) == ((), (), ())


def test_entries_without_a_traversal(tmp_path: Path) -> None:
    source = "void *__ao2_find(void *c) { return c; } int main(void) { return 0; }"
    image = image_of(build(tmp_path, source, "-rdynamic"))
    found = analyse(image)
    assert found.entries == (("__ao2_find", image.exported("__ao2_find")),)
    assert found.traversals == ()
