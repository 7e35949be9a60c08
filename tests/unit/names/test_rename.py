from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from profiler.binary.debug_files import SymbolDirectory
from profiler.model.recording import Frame, MappedFile
from profiler.names.rename import matches, rename
from tests.compiled import symbols_of
from tests.examples import recording as example_recording
from tests.unit.names.conftest import BUILD_ID


def test_names_are_added_later_by_build_id_and_offset(module: Path, tmp_path: Path) -> None:
    symbols = symbols_of(module)
    inferred = Frame(1, 0, symbols["request_cb"] + 3, symbols["request_cb"], "~x", "inferred")
    unnamed = Frame(2, 0, symbols["silent_outer"] + 5, symbols["silent_outer"], None, None)
    sure = Frame(3, 0, symbols["load_module"], symbols["load_module"], "kept", "dynsym")
    elsewhere = Frame(4, 1, symbols["request_cb"], None, None, None)
    nowhere = Frame(5, None, None, None, None, None)
    before = replace(
        example_recording(),
        files=(MappedFile("/usr/lib/module.so", BUILD_ID), MappedFile("/other", "ab" * 20)),
        frames=(inferred, unnamed, sure, elsewhere, nowhere),
    )
    looked_for: list[MappedFile] = []
    after = rename(before, SymbolDirectory(tmp_path), "debuginfod", looked_for.append)
    assert tuple(looked_for) == before.files
    assert after.frames == (
        replace(inferred, symbol="request_cb", origin="debuginfod"),
        replace(unnamed, symbol="silent_outer", origin="debuginfod"),
        sure,
        elsewhere,
        nowhere,
    )
    assert replace(after, frames=before.frames) == before
    assert rename(before, SymbolDirectory(tmp_path / "empty")) == before


def test_nothing_is_looked_for_where_all_has_names(tmp_path: Path) -> None:
    named = replace(
        example_recording(),
        files=(MappedFile("/usr/lib/module.so", BUILD_ID), MappedFile("/without", None)),
        frames=(Frame(1, 0, 1, 1, "main", "symtab"), Frame(2, 1, 1, None, None, None)),
    )
    looked_for: list[MappedFile] = []
    assert rename(named, SymbolDirectory(tmp_path), tell=looked_for.append) == named
    assert looked_for == []


def test_matches_are_files_with_code_in_the_recording_and_symbols_in_the_folder(
    module: Path, tmp_path: Path
) -> None:
    frames = tuple(Frame(at, file, at, None, "x", "symtab") for at, file in enumerate((0, 0, 1, 2)))
    recorded = replace(
        example_recording(),
        files=(
            MappedFile("/usr/lib/module.so", BUILD_ID),
            MappedFile("/other", "ab" * 20),
            MappedFile("/without", None),
            MappedFile("/never/ran", BUILD_ID),
        ),
        frames=(*frames, Frame(9, None, None, None, None, None)),
    )
    assert matches(recorded, SymbolDirectory(tmp_path)) == (1, 2)
    assert matches(recorded, SymbolDirectory(tmp_path / "empty")) == (0, 2)
    only = tmp_path / "stripped"
    only.mkdir()
    module.with_suffix(".stripped").rename(only / "module.so")
    assert matches(recorded, SymbolDirectory(only)) == (0, 2)


def test_stripped_file_in_the_directory_changes_nothing(module: Path, tmp_path: Path) -> None:
    only = tmp_path / "only"
    only.mkdir()
    module.with_suffix(".stripped").rename(only / "module.so")
    before = replace(
        example_recording(),
        files=(MappedFile("/usr/lib/module.so", BUILD_ID),),
        frames=(Frame(1, 0, symbols_of(module)["silent_outer"], None, None, None),),
    )
    assert rename(before, SymbolDirectory(only)) == before
