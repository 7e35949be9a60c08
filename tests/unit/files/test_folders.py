from __future__ import annotations

import os
import stat
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from profiler.errors import UsageError
from profiler.files.folders import enter, open_parent
from profiler.files.owner import Owner

ROOT = Path(__file__).parents[3]
ME = Owner(os.getuid(), os.getgid())


def make(path: Path, owner: Owner = ME) -> None:
    """Make a file with all the folders that it is in."""
    with ExitStack() as stack:
        parent, name = open_parent(stack, path, owner)
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, dir_fd=parent))


def test_missing_parents_are_made_with_their_modes_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        make(tmp_path / "a" / "b" / "file")
    finally:
        os.umask(old)
    assert (tmp_path / "a" / "b" / "file").is_file()
    for path in (tmp_path / "a", tmp_path / "a" / "b"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o755


@pytest.mark.root
def test_root_gives_the_parents_that_it_made_to_the_invoking_user(tmp_path: Path) -> None:
    assert os.geteuid() == 0, "needs root"
    (tmp_path / "old").mkdir()
    make(tmp_path / "old" / "a" / "b" / "file", Owner(12_345, 54_321))
    owners = [(tmp_path / "old" / path).stat().st_uid for path in ("", "a", "a/b")]
    assert owners == [0, 12_345, 12_345]


def test_links_that_the_caller_chose_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    make(tmp_path / "link" / "a" / "file")
    assert (tmp_path / "real" / "a" / "file").is_file()


def test_a_link_to_nowhere_is_no_missing_folder(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(NotADirectoryError):
        make(tmp_path / "link" / "file")
    assert not (tmp_path / "nowhere").exists()


def test_a_file_among_the_parents_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        make(tmp_path / "file" / "a" / "b")


def test_what_stays_empty_is_taken_away_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    with ExitStack() as stack:
        open_parent(stack, tmp_path / "old" / "a" / "b" / "file", ME)
        (tmp_path / "old" / "a" / "note").touch()
        assert (tmp_path / "old" / "a" / "b").is_dir()
    assert [path.name for path in (tmp_path / "old" / "a").iterdir()] == ["note"]
    with ExitStack() as stack:
        open_parent(stack, tmp_path / "old" / "file", ME)
    assert (tmp_path / "old").is_dir()


@pytest.mark.root
def test_a_folder_of_a_third_user_is_not_entered(tmp_path: Path) -> None:
    assert os.geteuid() == 0, "needs root"
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", 54_321, 54_321)
    with ExitStack() as stack, pytest.raises(UsageError, match="belongs to user 54321"):
        parent, _ = open_parent(stack, tmp_path / "theirs", ME)
        enter(stack, tmp_path / "theirs", parent, ME)


READ_ONLY = """
import sys
from contextlib import ExitStack
from pathlib import Path
from profiler.files.folders import open_parent, require_writable
with ExitStack() as stack:
    require_writable(open_parent(stack, Path(sys.argv[1]), None)[0])
"""


@pytest.mark.root
@pytest.mark.parametrize(("option", "problem"), [("rw", ""), ("ro", "Read-only file system")])
def test_a_folder_where_nothing_can_be_written_is_known_before(
    tmp_path: Path, option: str, problem: str
) -> None:
    assert os.geteuid() == 0, "needs root"
    script = f'mount -t tmpfs -o {option} none {tmp_path} && exec "$@"'
    words = ["unshare", "--mount", "sh", "-c", script, "sh", sys.executable, "-c", READ_ONLY]
    done = subprocess.run([*words, tmp_path / "x"], capture_output=True, text=True, cwd=ROOT)
    assert bool(done.returncode) == bool(problem)
    assert problem in done.stderr
