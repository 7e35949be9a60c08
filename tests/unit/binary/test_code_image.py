from __future__ import annotations

from pathlib import Path

import pytest

from profiler.binary import code_image
from profiler.binary.symtab import read_symtab
from tests.compiled import assemble, build, code_of, image_of, start_of, symbols_of

CODE = """
FUNCTION f
call g
jmp 1f
1: ret
END
FUNCTION g
nop
ret
END
"""


def test_a_function_is_found_from_any_address_in_it(tmp_path: Path) -> None:
    image = assemble(tmp_path, CODE)
    start = start_of(image)
    function = image.function(start + 3)
    assert function is not None
    assert (function.start, function.end) == (start, start + 8)
    assert function.code == image.elf.read(function.file_offset, 8)
    assert image.function(start + 8) is None
    assert [i.mnemonic for i in code_of(image)] == ["call", "jmp", "ret"]


def test_bytes_that_are_no_instruction_make_a_function_unknown(tmp_path: Path) -> None:
    image = assemble(tmp_path, "FUNCTION f\nnop\n.byte 0x48\nEND")
    function = image.function(image.exported("f") or 0)
    assert function is not None
    assert image.instructions(function) is None


def test_the_work_on_one_file_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_image, "MAX_DECODED_BYTES", 9)
    image = assemble(tmp_path, CODE)
    f, g = (image.function(image.exported(name) or 0) for name in "fg")
    assert f is not None and g is not None
    assert image.instructions(f) is not None
    assert image.instructions(g) is None
    monkeypatch.setattr(code_image, "MAX_FUNCTION_BYTES", 7)
    assert image.function(f.start) is None


def test_what_a_file_does_not_export(tmp_path: Path) -> None:
    assert assemble(tmp_path, CODE).exported("h") is None


def test_linkage_stubs_are_seen_through(tmp_path: Path) -> None:
    source = """
        #include <stdlib.h>
        __attribute__((visibility("default"), noinline)) int own(int x) { return x + atoi("1"); }
        int use(int x) { return own(x) * own(x + 1); }
    """
    program = build(tmp_path, source, "-shared", "-fPIC", "-O1")
    image = image_of(program)
    calls = [i.target for i in code_of(image, "use") if i.mnemonic == "call"]
    assert len(calls) == 2
    assert all(image.is_stub(target) for target in calls if target is not None)
    assert [image.destination(target or 0) for target in calls] == [image.exported("own")] * 2
    (outside,) = [i.target for i in code_of(image, "own") if i.mnemonic == "call"]
    assert image.destination(outside or 0) is None


def test_pointers_in_data_with_and_without_relocation(tmp_path: Path) -> None:
    source = """
        int f(void) { return 1; }
        int (*const table[])(void) = {f, 0};
        int main(void) { return table[0](); }
    """
    for flags in (("-pie", "-fPIE"), ("-no-pie", "-fno-pie")):
        program = build(tmp_path, source, *flags)
        image = image_of(program)
        symbols = read_symtab(image.elf)
        symbol = symbols.find("table") if symbols is not None else None
        assert symbol is not None
        table = symbol.value
        assert image.pointer_at(table) == symbols_of(program)["f"]
        assert not image.pointer_at(table + 8)
        assert image.pointer_at(1 << 40) is None
