"""Names of the ao2 methods on a program with containers; the other rules: test_inferred.py."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from profiler.binary.references import CodeReferences
from profiler.names.registered import RegisteredNames
from tests.compiled import build, image_of, symbols_of

SOURCE = (Path(__file__).parents[1] / "ao2_code" / "containers.c").read_text()
METHODS = {
    "hash_first": "hash_ao2_find_first",
    "hash_next": "hash_ao2_find_next",
    "tree_first": "rb_ao2_find_first",
    "tree_next": "rb_ao2_find_next",
}
SHARED_METHODS = ("hash_create", "hash_destroy")  # the program uses them twice


def names_when_stripped(program: Path) -> RegisteredNames:
    subprocess.run(["strip", program], check=True)
    image = image_of(program)
    return RegisteredNames(image, CodeReferences(image))


@pytest.mark.parametrize("flags", ["-O2 -fPIE -pie", "-O2 -fno-pie -no-pie"])
@pytest.mark.parametrize("family", ["-DASTERISK_13", "-DASTERISK_22"])
def test_container_methods_are_named_by_their_place_in_the_table(
    tmp_path: Path, flags: str, family: str
) -> None:
    options = [*flags.split(), family, "-w", "-rdynamic", "-pthread", "-fno-ipa-icf"]
    program = build(tmp_path, SOURCE, *options)
    symbols, names = symbols_of(program), names_when_stripped(program)
    assert {name: names.name(symbols[name]) for name in METHODS} == METHODS
    assert {names.name(symbols[name]) for name in SHARED_METHODS} == {None}
    assert names.name(symbols["__ao2_find"]) is None


def test_method_that_one_kind_has_alone_is_named(tmp_path: Path) -> None:
    program = build(tmp_path, SOURCE, "-O2", "-w", "-rdynamic", "-pthread", "-fno-ipa-icf")
    symbols, names = symbols_of(program), names_when_stripped(program)
    assert names.name(symbols["hash_insert"]) == "hash_ao2_insert_node"
    assert names.name(symbols["tree_insert"]) == "rb_ao2_insert_node"


def test_traversal_has_its_name_whatever_its_clone_is_called(tmp_path: Path) -> None:
    program = build(tmp_path, SOURCE, "-O2", "-w", "-rdynamic", "-pthread")
    traversals = [
        start
        for name, start in symbols_of(program).items()
        if name.startswith("internal_ao2_traverse") and ".cold" not in name
    ]
    assert traversals
    names = names_when_stripped(program)
    assert {names.name(start) for start in traversals} == {"internal_ao2_traverse"}


@pytest.mark.parametrize("flags", ["-fPIE -pie", "-fno-pie -no-pie"])
def test_main_is_what_the_entry_point_hands_over(tmp_path: Path, flags: str) -> None:
    program = build(tmp_path, SOURCE, "-O2", "-w", "-pthread", *flags.split())
    symbols, names = symbols_of(program), names_when_stripped(program)
    found = {name: names.name(start) for name, start in symbols.items()}
    beginnings = {"_start", "main"}
    assert {name: found[name] for name in beginnings} == {name: name for name in beginnings}
    assert not beginnings & {inferred for name, inferred in found.items() if name not in beginnings}
