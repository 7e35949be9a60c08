from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from profiler.binary.debug_files import SymbolDirectory
from profiler.model.recording import Frame, MappedFile
from profiler.names.rename import rename
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
    after = rename(before, [SymbolDirectory(tmp_path / "empty"), SymbolDirectory(tmp_path)])
    assert after.frames == (
        replace(inferred, symbol="request_cb", origin="debugfile"),
        replace(unnamed, symbol="silent_outer", origin="debugfile"),
        sure,
        elsewhere,
        nowhere,
    )
    assert replace(after, frames=before.frames) == before
    assert rename(before, [SymbolDirectory(tmp_path / "empty")]) == before


def test_stripped_file_in_the_directory_changes_nothing(module: Path, tmp_path: Path) -> None:
    only = tmp_path / "only"
    only.mkdir()
    module.with_suffix(".stripped").rename(only / "module.so")
    before = replace(
        example_recording(),
        files=(MappedFile("/usr/lib/module.so", BUILD_ID),),
        frames=(Frame(1, 0, symbols_of(module)["silent_outer"], None, None, None),),
    )
    assert rename(before, [SymbolDirectory(only)]) == before
