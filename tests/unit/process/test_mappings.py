from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from profiler.binary.elf import Elf
from profiler.errors import TargetError
from profiler.process import mappings
from profiler.process.mappings import (
    VDSO,
    Mapping,
    TargetCode,
    executable_lines,
    load_bias,
    parse_maps,
    read_maps,
)

ASTERISK = "/usr/sbin/asterisk"
MAPS = b"""\
55d0c0a00000-55d0c0a28000 r--p 00000000 fe:00 338944                     /usr/sbin/asterisk
55d0c0a28000-55d0c0c00000 r-xp 00028000 fe:00 338944                     /usr/sbin/asterisk
7f0000000000-7f0000001000 r-xp 00001000 fe:00 77                         /tmp/with space (deleted)
7f0000002000-7f0000003000 rwxp 00000000 00:00 0
7f0000004000-7f0000005000 r-xs 00000000 fd:01 18446744073709551615       /odd\\012name
7ffd0000a000-7ffd0000c000 r-xp 00000000 00:00 0                          [vdso]
7fffffffe000-7ffffffff000 --xp 00000000 00:00 0                          [uprobes]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
"""


def test_executable_mappings_are_read() -> None:
    assert parse_maps(MAPS) == (
        Mapping(0x55D0C0A28000, 0x55D0C0C00000, 0x28000, "fe:00", 338944, ASTERISK, False),
        Mapping(0x7F0000000000, 0x7F0000001000, 0x1000, "fe:00", 77, "/tmp/with space", True),
        Mapping(0x7F0000002000, 0x7F0000003000, 0, "00:00", 0, "", False),
        Mapping(0x7F0000004000, 0x7F0000005000, 0, "fd:01", (1 << 64) - 1, "/odd\\012name", False),
        Mapping(0x7FFD0000A000, 0x7FFD0000C000, 0, "00:00", 0, "[vdso]", False),
        Mapping(0x7FFFFFFFE000, 0x7FFFFFFFF000, 0, "00:00", 0, "[uprobes]", False),
    )  # fmt: skip


def test_only_lines_about_code_are_kept() -> None:
    spoofed = b"3000-4000 r--p 00000000 fe:00 5 /odd\r1000-2000 r-xp 00000000 fe:00 5 /no\n"
    stack = b"7f0000008000-7f0000009000 rw-p 00000000 00:00 0 [anon:x r-xp ]\n"
    kept = executable_lines(MAPS + spoofed + stack)
    assert kept.split(b"\n") == MAPS.rstrip(b"\n").split(b"\n")[1:]
    assert parse_maps(kept) == parse_maps(MAPS)


def test_names_that_are_no_text_lead_back_to_the_file() -> None:
    (mapping,) = parse_maps(b"1000-2000 r-xp 00000000 fe:00 5 /tmp/\xff\xfe\n")
    assert os.fsencode(mapping.path) == b"/tmp/\xff\xfe"


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"garbage",
        b"2000-1000 r-xp 00000000 fe:00 5 /backwards",
        b"11112222333344445-2000 r-xp 0 fe:00 5 /too-long",
        b"1000-2000 r--p 00000000 fe:00 5 /data",
    ],
)
def test_other_lines_are_ignored(line: bytes) -> None:
    assert parse_maps(line + b"\n") == ()


def test_a_process_that_is_gone() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    with pytest.raises(TargetError, match=str(process.pid)):
        read_maps(process.pid)


@pytest.fixture
def ours() -> TargetCode:
    code = TargetCode(os.getpid())
    assert code.refresh()
    return code


def test_code_that_is_mapped_as_before_is_not_read_again(
    ours: TargetCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(mappings, "parse_maps")
    assert not ours.refresh()


def test_every_file_of_ours_is_open_and_placed(ours: TargetCode) -> None:
    python = Path("/proc/self/exe").resolve()
    loaded = [code for code in ours.current if code.mapping.path.startswith(("/", VDSO))]
    assert str(python) in {code.mapping.path for code in loaded}
    for code in loaded:
        assert code.problem is None, code
        assert code.file is not None
        assert code.bias is not None
        address = code.mapping.start - code.bias
        low, high = code.file.elf.code_ranges[0]
        assert low // 4096 * 4096 <= address < high


def test_the_bias_leads_to_the_same_bytes(ours: TargetCode) -> None:
    """The file's code is what is in memory at its address."""
    with Path("/proc/self/mem").open("rb", buffering=0) as memory:
        for code in ours.current:
            if code.file is None or code.bias is None:
                continue
            address = code.file.elf.code_ranges[0][0]
            memory.seek(address + code.bias)
            assert memory.read(16) == code.file.elf.read_at(address, 16), code.mapping.path


def test_nothing_changes_without_a_change(ours: TargetCode) -> None:
    before = ours.current
    assert not ours.refresh()
    assert ours.current == before


def test_a_mapping_is_found_by_address(ours: TargetCode) -> None:
    for code in ours.current:
        assert ours.at(code.mapping.start) is code
        assert ours.at(code.mapping.end - 1) is code
    assert ours.at(4096) is None


def test_a_target_that_has_ended_keeps_what_was_known() -> None:
    script = "import sys; print('ready', flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    code = TargetCode(process.pid)
    assert code.refresh()
    before = code.current
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not code.refresh()  # a zombie, its /proc/PID/maps is empty
    process.wait()
    assert code.current == before
    assert all(file.elf.code_ranges for file in code.files())


def test_a_replaced_file_is_refused_when_only_its_path_is_left(tmp_path: Path) -> None:
    proc, file = tmp_path / "proc" / "7", tmp_path / "root" / "library.so"
    proc.mkdir(parents=True)
    file.parent.mkdir()
    (proc / "root").symlink_to(file.parent)
    file.write_bytes(Path("/bin/true").read_bytes())
    inode = file.stat().st_ino
    size = file.stat().st_size
    for wanted, is_there in ((inode, True), (inode + 1, False)):
        line = f"1000-{0x1000 + size:x} r-xp 00000000 fe:00 {wanted} /library.so\n"
        (proc / "maps").write_text(line)
        code = TargetCode(7, tmp_path / "proc")
        assert code.refresh()
        assert (next(code.files(), None) is not None) == is_there
        assert is_there or code.current[0].problem == "cannot be opened: it was replaced or removed"


def test_a_mapping_without_a_file_says_so() -> None:
    code = TargetCode(os.getpid())
    (mapping,) = parse_maps(b"1000-2000 rwxp 00000000 00:00 0 \n")
    loaded = code._load(mapping)
    assert loaded.file is None
    assert loaded.problem == "not backed by a file"


def test_the_bias_counts_from_the_segment_that_holds_the_offset() -> None:
    elf = Elf.from_bytes(Path("/bin/true").read_bytes())
    load = next(load for load in elf.loads if load.flags & 1)
    (mapping,) = parse_maps(b"70000000-70010000 r-xp %x fe:00 5 /bin/true\n" % load.offset)
    assert load_bias(elf, mapping) == 0x70000000 - load.address
    later = replace(mapping, start=mapping.start + 4096, offset=mapping.offset + 4096)
    assert load_bias(elf, later) == 0x70000000 - load.address
    assert load_bias(elf, replace(mapping, offset=1 << 40)) is None
    assert load_bias(elf, replace(mapping, offset=load.offset + load.file_bytes)) is None


def test_a_file_mapped_below_its_address_has_a_negative_bias() -> None:
    elf = Elf.from_bytes(Path("/bin/true").read_bytes())
    load = next(load for load in elf.loads if load.flags & 1)
    mapping = Mapping(0, 4096, load.offset, "fe:00", 5, "/bin/true", False)
    assert load_bias(elf, mapping) == -load.address


def test_code_that_was_unmapped_is_still_found(tmp_path: Path) -> None:
    maps = tmp_path / "7" / "maps"
    maps.parent.mkdir()
    other = b"70000000-70001000 r-xp 00000000 00:00 0 \n"
    maps.write_bytes(b"1000-3000 r-xp 00000000 00:00 0 \n" + other)
    code = TargetCode(7, tmp_path)
    assert code.refresh()
    first = code.at(0x2000)
    assert first is not None
    maps.write_bytes(b"1000-2000 r-xp 00000000 00:00 0 \n" + other)
    assert code.refresh()
    assert code.at(0x2000) is first
    second = code.at(0x1000)
    assert second is not None
    assert second.mapping.end == 0x2000
    maps.write_bytes(other)
    assert code.refresh()
    assert code.at(0x1000) is second
    assert code.at(0x3000) is None
    assert not code.refresh()
