from __future__ import annotations

from pathlib import Path

import pytest

from profiler.binary import references
from profiler.binary.elf import Elf
from profiler.binary.references import CodeReferences, string_text
from tests.compiled import build, image_of, symbols_of

SOURCE = """
#include <stdio.h>
static const char name[] = "an_identifier";
static const char sentence[] = "no identifier";
static int by_code(int x) { return x + 1; }
static int by_data(int x) { return x + 2; }
__attribute__((noinline)) static int by_call(int x) { __asm__ volatile(""); return x + 3; }
int (*volatile table[])(int) = {by_data};
volatile const void *volatile kept;
int user(int x)
{
    kept = name;
    kept = sentence;
    kept = (void *) by_code;
    puts(name);
    return by_call(x) + table[0](x);
}
int main(void) { return user(1); }
"""
BUILDS = {
    "PIE": ("-O1", "-fPIE", "-pie", "-Wl,--export-dynamic"),
    "fixed": ("-O1", "-fno-pie", "-no-pie", "-Wl,--export-dynamic"),
    "library": ("-O1", "-fPIC", "-shared"),
    "no stubs": ("-O1", "-fPIC", "-shared", "-fno-plt"),
}


@pytest.fixture(params=list(BUILDS))
def program(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return build(tmp_path, SOURCE, *BUILDS[request.param])


def test_address_is_taken_by_code_or_data_but_not_by_a_call(program: Path) -> None:
    references, symbols = CodeReferences(image_of(program)), symbols_of(program)
    assert references.taken(symbols["by_code"])
    assert references.taken(symbols["by_data"])
    assert not references.taken(symbols["by_call"])


def test_identifiers_are_distinguished_from_other_text(program: Path) -> None:
    image, references = image_of(program), CodeReferences(image_of(program))
    start = symbols_of(program)["user"]
    function = image.function(start)
    assert function is not None
    targets = [target for _, target in references.inside(start, function.end)]
    named = {references.identifier(target) for target in targets} - {None}
    assert named == {"an_identifier"}
    texts = {string_text(image.elf, target) for target in targets}
    assert "no identifier" in texts
    assert references.identifier(None) is None


def test_references_to_an_address_are_those_inside_its_users(program: Path) -> None:
    references, symbols = CodeReferences(image_of(program)), symbols_of(program)
    places = references.to(symbols["by_code"])
    function = image_of(program).function(symbols["user"])
    assert function is not None and places
    assert all(function.start <= place < function.end for place in places)
    assert references.to(1 << 40) == []


def test_callers_of_an_imported_function_are_found(program: Path) -> None:
    references, symbols = CodeReferences(image_of(program)), symbols_of(program)
    assert references.uses("puts") and not references.uses("printf")
    assert references.callers(("puts",)) == {symbols["user"]: {"puts"}}
    assert references.callers(("printf",)) == {}


def test_callers_of_an_exported_function_are_found(program: Path) -> None:
    references, symbols = CodeReferences(image_of(program)), symbols_of(program)
    assert references.uses("user")
    assert symbols["main"] in references.callers(("user",))


def test_text_without_an_end_is_none() -> None:
    elf = Elf.from_bytes(Path("/bin/ls").read_bytes())
    last = elf.loads[-1]
    assert string_text(elf, last.address + last.file_bytes) is None
    assert string_text(elf, 0) is not None  # the header's bytes up to the first zero


def test_the_same_code_is_searched_once(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EBPF_PROF_CACHE", str(tmp_path / "cache"))
    code = symbols_of(program)
    (start, end), *_ = image_of(program).elf.code_ranges
    made = CodeReferences(image_of(program))
    places = made.to(code["by_code"])
    inside = list(made.inside(start, end))
    assert places
    monkeypatch.setattr(references, "_references", lambda *_: pytest.fail("searched again"))
    again = CodeReferences(image_of(program))
    assert again.to(code["by_code"]) == places
    assert again.to(1 << 40) == []
    assert list(again.inside(start, end)) == inside
