"""Inference on a stripped module whose symbols we know, built in several ways."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from profiler.binary.code_image import CodeImage
from profiler.binary.elf import Elf
from profiler.binary.functions import functions
from profiler.binary.symtab import read_symtab
from profiler.names.inferred import InferredNames
from tests.compiled import build, image_of, symbols_of
from tests.unit.names.conftest import SOURCES

SHARED = ("-shared", "-fPIC")
BUILDS = {
    "module -O2": (*SHARED, "-O2"),
    "module -O3 with CET": (*SHARED, "-O3", "-fno-partial-inlining", "-fcf-protection"),
    "module -O2 without linkage stubs": (*SHARED, "-O2", "-fno-plt"),
    "module -Os": (*SHARED, "-Os"),
    "executable": ("-O2", "-fPIE", "-pie", "-Wl,--export-dynamic"),
    "executable at a fixed address": ("-O2", "-fno-pie", "-no-pie", "-Wl,--export-dynamic"),
}


@pytest.fixture(scope="module", params=list(BUILDS))
def names(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str | None]:
    """The inferred names of a stripped file, by the true name of each function."""
    folder = tmp_path_factory.mktemp("inference")
    program, stripped = folder / "program", folder / "stripped"
    flags = BUILDS[request.param]
    sources = [SOURCES / "module.c"]
    if "executable" in request.param:
        (folder / "main.c").write_text("int main(void) { return 0; }")
        sources += [SOURCES / "core.c", folder / "main.c"]
    subprocess.run(["gcc", "-o", program, *sources, *flags], check=True)
    subprocess.run(["strip", "-o", stripped, program], check=True)
    elf = Elf.from_bytes(stripped.read_bytes())
    assert read_symtab(elf) is None
    inferred = InferredNames(CodeImage(elf, functions(elf)))
    return {name: inferred.name(at) for name, at in symbols_of(program).items()}


@pytest.mark.parametrize(
    "name",
    [
        "request_cb",
        "second_user_cb",
        "outer_handler",
        "plain_helper",
        "header_first_cb",
        "outer_first_cb",
        "split_cb",
        "talkative_session",
        "plain_and_straight",
        "plain_and_talkative",
        "_behind",
    ],
)
def test_function_that_passes_its_own_name_has_it(names: dict[str, str | None], name: str) -> None:
    assert names[name] == f"~{name}"


def test_part_of_an_exported_function_has_its_name(names: dict[str, str | None]) -> None:
    assert names["part_of_whole"] == "~whole"


def test_thread_start_has_the_name_that_was_registered(names: dict[str, str | None]) -> None:
    assert names["do_monitor"] == "~do_monitor"


def test_module_entries_are_named_by_their_table(names: dict[str, str | None]) -> None:
    assert names["load_module"] == "~load_module"
    assert names["unload_module"] == "~unload_module"


def test_callbacks_of_a_container_are_named_by_their_role(names: dict[str, str | None]) -> None:
    assert names["peer_hash_cb"] == "~hash_fn@load_module"
    assert names["peer_sort_cb"] == "~sort_fn@load_module"
    assert names["peer_cmp_cb"] == "~cmp_fn@load_module"


@pytest.mark.parametrize(
    "name",
    [
        "silent_outer",  # shows the name of what was inlined into its end
        "first_user",  # shows a name that another function shows too
        "wraps_exported_cb",  # shows the name of an exported function
        "header_user_cb",  # shows a name from a header
        "two_files_cb",  # shows names from two files
        "early_in_source_cb",  # holds code that comes later in the source
        "show_peers",  # shows the name of a completion
        "late_callback",  # shows a callback's name, but at its end
        "busy_callback",  # calls much else before it shows a name that begins like a callback's
        "plain_and_late",  # is called directly, but shows its name late, once, and after a call
        "two_steps",  # shows two names, of which the last in the source is not the first in code
        "surprising",  # is called through a pointer, but named late and unlike a callback
        "register_module",  # shows nothing
    ],
)
def test_function_whose_name_is_not_sure_has_none(names: dict[str, str | None], name: str) -> None:
    assert names[name] is None


def test_address_inside_a_function_has_its_name(module: Path) -> None:
    image = image_of(module)
    names = InferredNames(image)
    function = image.function(symbols_of(module)["request_cb"])
    assert function is not None
    inside = range(function.start, function.end)
    assert {names.name(address) for address in inside} == {"~request_cb"}
    assert names.name(0) is None


def test_file_that_is_no_part_of_asterisk_gets_no_names(tmp_path: Path) -> None:
    source = (SOURCES / "module.c").read_text().replace("ast_module_register(&info)", "count++")
    program = build(tmp_path, source, *SHARED, "-O2", f"-I{SOURCES}")
    names = InferredNames(image_of(program))
    assert {names.name(address) for address in symbols_of(program).values()} == {None}
