from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from profiler.model.recording import System
from profiler.process.distribution import find_package, parse_os_release, read_system

DEBIAN = """PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
ID=debian
"""
EXECUTABLE = "/usr/sbin/asterisk"


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "etc").mkdir()
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/info").mkdir(parents=True)
    descriptor = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def install(folder: Path, name: str, *files: str) -> None:
    lines = "".join(f"{file}\n" for file in ("/.", *files))
    (folder / "var/lib/dpkg/info" / f"{name}.list").write_text(lines)


def test_a_debian_with_its_own_asterisk(root: int, tmp_path: Path) -> None:
    (tmp_path / "etc/os-release").write_text(DEBIAN)
    install(tmp_path, "asterisk", EXECUTABLE)
    assert read_system(root, EXECUTABLE) == System(
        "debian", (), "12", "Debian GNU/Linux 12 (bookworm)", "asterisk"
    )


def test_the_other_place_counts_when_the_first_is_empty_or_no_file(
    root: int, tmp_path: Path
) -> None:
    assert read_system(root, EXECUTABLE) is None
    os.mkfifo(tmp_path / "etc/os-release")  # nobody waits for what may never be written
    (tmp_path / "usr/lib/os-release").write_text("ID=alpine\n")
    assert read_system(root, EXECUTABLE) == System("alpine", (), None, "alpine", None)


def test_links_stay_inside_of_the_targets_root(root: int, tmp_path: Path) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.write_text(DEBIAN)
    (tmp_path / "etc/os-release").symlink_to(outside)
    assert read_system(root, EXECUTABLE) is None
    (tmp_path / "usr/lib/os-release").write_text("ID=inside\n")
    (tmp_path / "etc/os-release").unlink()
    (tmp_path / "etc/os-release").symlink_to("/usr/lib/os-release")
    system = read_system(root, EXECUTABLE)
    assert system is not None and system.id == "inside"


def test_quotes_and_words_of_os_release() -> None:
    text = """# ID=comment
NAME='It'
ID="sangoma"
ID_LIKE="centos rhel fedora"
VERSION_ID='7'
PRETTY_NAME="Sangoma \\"Linux\\" 7 (Core)"
BROKEN
"""
    assert parse_os_release(text, None) == System(
        "sangoma", ("centos", "rhel", "fedora"), "7", 'Sangoma "Linux" 7 (Core)', None
    )
    assert parse_os_release("", "x") == System("linux", (), None, "linux", "x")


def test_what_is_taken_is_bounded() -> None:
    text = f"ID={'x' * 10_000}\nID_LIKE='{'y ' * 10_000}'\n"
    system = parse_os_release(text, None)
    assert len(system.id) == 64 and len(system.like) == 8


def test_the_package_is_the_one_that_lists_the_executable(root: int, tmp_path: Path) -> None:
    install(tmp_path, "asterisk-config", "/etc/asterisk")
    install(tmp_path, "asterisk-doc", f"{EXECUTABLE}.8", f"/old{EXECUTABLE}")
    install(tmp_path, "other", EXECUTABLE)
    assert find_package(root, EXECUTABLE) is None
    install(tmp_path, "asterisk22-core:amd64", "/usr", EXECUTABLE, "/usr/share")
    assert find_package(root, EXECUTABLE) == "asterisk22-core"


def test_lists_that_are_no_files_and_endless_ones_are_not_read(root: int, tmp_path: Path) -> None:
    info = tmp_path / "var/lib/dpkg/info"
    os.mkfifo(info / "asterisk-a.list")
    (info / "asterisk-b.list").mkdir()
    with (info / "asterisk-c.list").open("wb") as out:
        out.truncate(1 << 40)
        out.seek(1 << 39)
        out.write(f"\n{EXECUTABLE}\n".encode())
    assert find_package(root, EXECUTABLE) is None


def test_a_machine_without_dpkg_has_no_package(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    assert find_package(descriptor, EXECUTABLE) is None
    os.close(descriptor)
