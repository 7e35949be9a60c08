from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from profiler.errors import UsageError
from profiler.files.output_folder import Owner, find_owner, output_folder

ME = Owner(os.getuid(), os.getgid())


def write(path: Path, name: str, text: str, owner: Owner | None = ME) -> None:
    with output_folder(path, owner) as output, output.text(name) as out:
        out.write(text)


def test_folder_and_file_are_made_with_their_modes_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        write(tmp_path / "out", "cpu.svg", "x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "out" / "cpu.svg").stat().st_mode) == 0o644


def test_an_old_file_is_replaced_and_foreign_files_stay(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    write(tmp_path, "cpu.svg", "old")
    write(tmp_path, "cpu.svg", "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cpu.svg", "notes"]
    assert (tmp_path / "cpu.svg").read_text() == "new"
    assert (tmp_path / "notes").read_text() == "mine"


def test_a_file_whose_writing_fails_leaves_the_old_one(tmp_path: Path) -> None:
    write(tmp_path, "cpu.svg", "old")
    with (
        pytest.raises(ZeroDivisionError),
        output_folder(tmp_path, ME) as output,
        output.text("cpu.svg") as out,
    ):
        out.write("half")
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["cpu.svg"]
    assert (tmp_path / "cpu.svg").read_text() == "old"


def test_a_link_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(UsageError, match="is not a folder .or is a symlink."):
        write(tmp_path / "link", "cpu.svg", "x")
    assert not list((tmp_path / "real").iterdir())


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="is not a folder .or is a symlink."):
        write(tmp_path / "file", "cpu.svg", "x")


def test_a_link_in_place_of_a_file_is_refused_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "cpu.svg").symlink_to(tmp_path / "victim")
    with pytest.raises(UsageError, match="is not a file .or is a symlink."):
        write(tmp_path, "cpu.svg", "x")
    assert (tmp_path / "victim").read_text() == "precious"


def test_a_link_that_appears_while_writing_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    with output_folder(tmp_path, ME) as output, output.text("cpu.svg") as out:
        out.write("x")
        (tmp_path / "cpu.svg").symlink_to(tmp_path / "victim")
    assert (tmp_path / "victim").read_text() == "precious"
    assert (tmp_path / "cpu.svg").read_text() == "x"
    assert not (tmp_path / "cpu.svg").is_symlink()


def test_the_folder_stays_the_one_that_was_checked(tmp_path: Path) -> None:
    """A folder swapped for a link after it was opened does not redirect what is written."""
    (tmp_path / "elsewhere").mkdir()
    with output_folder(tmp_path / "out", ME) as output:
        (tmp_path / "out").rename(tmp_path / "moved")
        (tmp_path / "out").symlink_to(tmp_path / "elsewhere")
        with output.text("cpu.svg") as out:
            out.write("x")
    assert (tmp_path / "moved" / "cpu.svg").read_text() == "x"
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.root
def test_a_folder_of_a_third_user_is_refused(tmp_path: Path) -> None:
    assert os.geteuid() == 0, "needs root"
    (tmp_path / "out").mkdir()
    os.chown(tmp_path / "out", 54_321, 54_321)
    with pytest.raises(UsageError, match="belongs to user 54321"):
        write(tmp_path / "out", "cpu.svg", "x", Owner(12_345, 54_321))
    assert not list((tmp_path / "out").iterdir())


def test_a_missing_parent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file or directory"):
        write(tmp_path / "none" / "out", "cpu.svg", "x")


def test_the_current_folder_can_be_the_output_folder(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path(), "cpu.svg", "x")
    assert (tmp_path / "cpu.svg").read_text() == "x"


def test_what_utf8_cannot_say_is_escaped(tmp_path: Path) -> None:
    write(tmp_path, "cpu.folded", "é\udc80")
    assert (tmp_path / "cpu.folded").read_bytes() == "é\\udc80".encode()


@pytest.mark.root
def test_root_gives_folder_and_files_to_the_invoking_user(tmp_path: Path) -> None:
    assert os.geteuid() == 0, "needs root"
    write(tmp_path / "out", "cpu.svg", "x", Owner(12_345, 54_321))
    for path in (tmp_path / "out", tmp_path / "out" / "cpu.svg"):
        assert (path.stat().st_uid, path.stat().st_gid) == (12_345, 54_321)


@pytest.mark.parametrize(
    ("environ", "effective_uid", "owner"),
    [
        ({"SUDO_UID": "1000", "SUDO_GID": "1001"}, 0, Owner(1000, 1001)),
        ({"SUDO_UID": "1000", "SUDO_GID": "1001"}, 1000, None),
        ({}, 0, None),
        ({"SUDO_UID": "1000"}, 0, None),
        ({"SUDO_UID": "-1", "SUDO_GID": "0"}, 0, None),
        ({"SUDO_UID": "4294967295", "SUDO_GID": "0"}, 0, None),
        ({"SUDO_UID": "²", "SUDO_GID": "0"}, 0, None),
        ({"SUDO_UID": "9" * 5_000, "SUDO_GID": "0"}, 0, None),
    ],
)
def test_the_owner_is_the_user_behind_sudo(environ, effective_uid: int, owner) -> None:
    assert find_owner(environ, effective_uid) == owner
