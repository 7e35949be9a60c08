from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from profiler.errors import UsageError
from profiler.files.output_folder import output_folder, parent_folder
from profiler.files.owner import Owner

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


def test_another_run_gets_a_folder_of_its_own_inside(tmp_path: Path) -> None:
    for text in ("first", "second", "third"):
        write(tmp_path / "out", "recording", text)
    texts = {path: (tmp_path / "out" / path).read_text() for path in ("recording", "2/recording")}
    assert texts == {"recording": "first", "2/recording": "second"}
    assert (tmp_path / "out" / "3" / "recording").read_text() == "third"


def test_the_folder_says_where_it_is(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path(), "recording", "first")
    with output_folder(Path(), ME) as output:
        assert output.path == Path("2")


def test_the_same_recording_is_written_again(tmp_path: Path) -> None:
    write(tmp_path / "out", "recording", "old")
    seen = []

    def may_replace(output) -> bool:
        seen.append(output.path)
        return True

    with output_folder(tmp_path / "out", ME, may_replace) as output:
        assert output.path == tmp_path / "out"
    assert seen == [tmp_path / "out"]


def test_two_runs_at_a_time_have_two_folders(tmp_path: Path) -> None:
    with output_folder(tmp_path / "out", ME) as first:
        with output_folder(tmp_path / "out", ME) as second, second.text("recording") as out:
            out.write("second")
        with first.text("recording") as out:
            out.write("first")
    assert (tmp_path / "out" / "recording").read_text() == "first"
    assert (tmp_path / "out" / "2" / "recording").read_text() == "second"


def test_a_folder_that_is_passed_by_is_free_for_its_own_recording(tmp_path: Path) -> None:
    write(tmp_path / "out", "recording", "first")
    with (
        output_folder(tmp_path / "out", ME),
        output_folder(tmp_path / "out", ME, lambda _: True) as again,
    ):
        assert again.path == tmp_path / "out"


@pytest.mark.parametrize("is_used", [False, True])
def test_a_run_without_results_leaves_no_folder(tmp_path: Path, is_used: bool) -> None:
    if is_used:
        write(tmp_path / "out", "recording", "first")
    before = sorted(tmp_path.rglob("*"))
    with (
        pytest.raises(KeyboardInterrupt),
        output_folder(tmp_path / "out" / "a", ME),
    ):
        raise KeyboardInterrupt
    assert sorted(tmp_path.rglob("*")) == before


def test_a_number_that_is_a_link_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "out", "recording", "first")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "2").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="is not a folder .or is a symlink."):
        write(tmp_path / "out", "recording", "second")
    assert not list((tmp_path / "elsewhere").iterdir())


def numbered(path: Path, text: str) -> str:
    stem, extension = path.name.split(".", 1)
    with parent_folder(path, ME) as folder, folder.numbered(stem, f".{extension}") as (name, out):
        out.write(text.encode())
    return name


def test_a_new_file_never_replaces_another(tmp_path: Path) -> None:
    (tmp_path / "x-3.pb.gz").symlink_to(tmp_path / "victim")
    path = tmp_path / "new" / ".." / "x.pb.gz"
    assert [numbered(path, text) for text in "abc"] == ["x.pb.gz", "x-2.pb.gz", "x-4.pb.gz"]
    assert (tmp_path / "x-2.pb.gz").read_text() == "b"
    assert stat.S_IMODE((tmp_path / "x.pb.gz").stat().st_mode) == 0o644
    assert not (tmp_path / "victim").exists()


def test_what_is_no_file_gets_no_file_beside_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.svg")
    with pytest.raises(UsageError, match="is not a file"):
        numbered(tmp_path / "x.svg", "a")
    assert [path.name for path in tmp_path.iterdir()] == ["x.svg"]


def test_a_new_file_whose_writing_fails_is_taken_away_with_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "x.svg"
    with (
        pytest.raises(ZeroDivisionError),
        parent_folder(path, ME) as folder,
        folder.numbered("x", ".svg") as (_, out),
    ):
        out.write(b"half")
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())
