from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from profiler.binary.debug_files import SymbolDirectory, file_crc, find_debug_file, open_in_root
from profiler.binary.elf import Elf
from profiler.binary.symtab import read_symtab
from tests.compiled import build

SOURCE = "static int f(int x) { return x; } int (*p)(int) = f; int main(void) { return p(0); }"
BUILD_ID = "00112233445566778899aabbccddeeff00112233"
SEEN_AT = "/opt/pbx/lib/thing.so"  # where the target sees the stripped file


class Files:
    """A program taken apart: stripped file, debug file, and a root directory to put them into."""

    def __init__(self, folder: Path, build_id: str) -> None:
        program = build(folder, SOURCE, "-g", f"-Wl,--build-id={build_id}")
        self.root = folder / "root"
        self.debug = folder / "thing.debug"
        self.stripped = folder / "thing.so"
        self.whole = program
        self.root.mkdir()
        subprocess.run(["objcopy", "--only-keep-debug", program, self.debug], check=True)
        link = f"--add-gnu-debuglink={self.debug}"
        subprocess.run(["objcopy", "-S", link, program, self.stripped], check=True)
        self.elf = Elf.from_bytes(self.stripped.read_bytes())

    def put(self, place: str, data: bytes | None = None) -> Path:
        path = self.root / place.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.debug.read_bytes() if data is None else data)
        return path

    def found(self, *roots: Path) -> bool:
        descriptors = [os.open(root, os.O_PATH) for root in roots or (self.root,)]
        try:
            file = find_debug_file(self.elf, SEEN_AT, descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        if file is None:
            return False
        assert read_symtab(Elf.from_fd(file.fd)) is not None
        return True


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path, f"0x{BUILD_ID}")


@pytest.fixture
def unnamed(tmp_path: Path) -> Files:
    """The same without a build id, so that only the debug link tells."""
    return Files(tmp_path, "none")


@pytest.fixture
def root_fd(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_PATH)
    yield descriptor
    os.close(descriptor)


def test_nothing_is_found_where_nothing_is(files: Files) -> None:
    assert not files.found()


def test_debug_file_is_found_by_build_id(files: Files) -> None:
    files.put(f"/usr/lib/debug/.build-id/{BUILD_ID[:2]}/{BUILD_ID[2:]}.debug")
    assert files.found()


@pytest.mark.parametrize(
    "place",
    [
        "/opt/pbx/lib/thing.debug",
        "/opt/pbx/lib/.debug/thing.debug",
        "/usr/lib/debug/opt/pbx/lib/thing.debug",
    ],
)
def test_debug_file_is_found_by_debug_link(unnamed: Files, place: str) -> None:
    unnamed.put(place)
    assert unnamed.found()


def test_debug_file_with_another_checksum_is_refused(unnamed: Files) -> None:
    unnamed.put("/opt/pbx/lib/thing.debug", unnamed.debug.read_bytes() + b"\0")
    assert not unnamed.found()


def test_debug_file_with_another_build_id_is_refused(files: Files) -> None:
    wrong = files.debug.read_bytes().replace(bytes.fromhex(BUILD_ID), bytes(20))
    files.put(f"/usr/lib/debug/.build-id/{BUILD_ID[:2]}/{BUILD_ID[2:]}.debug", wrong)
    files.put("/opt/pbx/lib/thing.debug", wrong)
    assert not files.found()


def test_second_root_is_searched_after_the_first(files: Files, tmp_path: Path) -> None:
    files.put(f"/usr/lib/debug/.build-id/{BUILD_ID[:2]}/{BUILD_ID[2:]}.debug")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert files.found(empty, files.root)
    assert not files.found(empty)


def test_absolute_link_stays_inside_the_root(files: Files, tmp_path: Path, root_fd: int) -> None:
    (tmp_path / "inside").write_text("inside")
    (tmp_path / "link").symlink_to("/inside")
    (tmp_path / "climbing").symlink_to("../../../../../../inside")
    for name in ("link", "climbing"):
        assert os.pread(open_in_root(root_fd, f"/{name}").fd, 10, 0) == b"inside"
    (tmp_path / "host").symlink_to("/etc/passwd")
    with pytest.raises(FileNotFoundError):
        open_in_root(root_fd, "/host")


def test_pipe_in_the_place_of_a_debug_file_does_not_hang(files: Files) -> None:
    path = files.put("/opt/pbx/lib/thing.debug")
    path.unlink()
    os.mkfifo(path)
    assert not files.found()


def test_descriptor_is_closed_with_its_last_owner(tmp_path: Path, root_fd: int) -> None:
    (tmp_path / "file").write_text("x")
    file = open_in_root(root_fd, "/file")
    number = file.fd
    del file
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


@pytest.mark.parametrize(
    "name",
    [f".build-id/{BUILD_ID[:2]}/{BUILD_ID[2:]}.debug", BUILD_ID, f"{BUILD_ID}.debug", "any name"],
)
def test_symbol_directory_finds_by_build_id(files: Files, tmp_path: Path, name: str) -> None:
    directory = tmp_path / "symbols"
    path = directory / name
    path.parent.mkdir(parents=True)
    path.write_bytes(files.whole.read_bytes())
    (directory / "other").write_text("no ELF file")
    file = SymbolDirectory(directory).find(BUILD_ID)
    assert file is not None
    assert Elf.from_fd(file.fd).build_id == BUILD_ID


def test_symbol_directory_ignores_files_that_lie_by_their_name(
    files: Files, tmp_path: Path
) -> None:
    directory = tmp_path / "symbols"
    directory.mkdir()
    (directory / ("ab" * 20)).write_bytes(files.whole.read_bytes())
    assert SymbolDirectory(directory).find("ab" * 20) is None
    assert SymbolDirectory(tmp_path / "absent").find(BUILD_ID) is None


def test_checksum_is_the_one_of_the_debug_link(files: Files) -> None:
    with files.debug.open("rb") as file:
        assert files.elf.debuglink is not None
        assert file_crc(file.fileno()) == files.elf.debuglink.crc
