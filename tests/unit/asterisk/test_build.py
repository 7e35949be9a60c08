from __future__ import annotations

from pathlib import Path

import pytest

from profiler.asterisk.build import parse_options, read_build
from profiler.binary.elf import Elf
from tests import compiled
from tests.unit.fake_asterisk import build

FLAGS = [
    ("-O2",),
    ("-O0",),
    ("-O0", "-fcf-protection=full"),
    ("-O2", "-s"),
    ("-O2", "-no-pie", "-fno-pie"),
    ("-O0", "-no-pie", "-fno-pie"),
]


@pytest.mark.parametrize("flags", FLAGS, ids=" ".join)
def test_reads_version_and_options_of_builds(tmp_path: Path, flags: tuple[str, ...]) -> None:
    found = read_build(Elf.from_bytes(build(tmp_path, "asterisk", *flags).read_bytes()))

    assert found is not None
    assert found.version == "16.28.0~test-1"
    assert found.options == ("AO2_DEBUG", "DEBUG_THREADS")
    assert found.build_id is not None
    assert len(found.build_id) == 40


def test_another_program_is_no_asterisk() -> None:
    assert read_build(Elf.from_bytes(Path("/bin/sh").read_bytes())) is None


def test_a_version_that_is_computed_is_unknown(tmp_path: Path) -> None:
    source = (
        "int x; void __ao2_find(void) {} void ast_taskprocessor_get(void) {}\n"
        'const char *ast_get_version(void) { return x ? "1" : "2"; } int main(void) {}\n'
    )
    program = compiled.build(tmp_path, source, "-O2", "-rdynamic")
    found = read_build(Elf.from_bytes(program.read_bytes()))

    assert found is not None
    assert found.version is None
    assert found.options is None


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("BUILD_NATIVE, OPTIONAL_API", ("BUILD_NATIVE", "OPTIONAL_API")),
        ("AO2_DEBUG", ("AO2_DEBUG",)),
        ("NONE", ()),
        ("", ()),
    ],
)
def test_options(text: str, options: tuple[str, ...]) -> None:
    assert parse_options(text) == options
