from __future__ import annotations

from pathlib import Path

from profiler.process.namespaces import outer_tids


def task(proc: Path, tid: int, views: str) -> None:
    folder = proc / "100" / "task" / str(tid)
    folder.mkdir(parents=True)
    (folder / "status").write_text(f"Name:\tasterisk\nNSpid:\t{views}\n")


def test_a_process_in_our_own_namespace_knows_its_threads_as_we_do(tmp_path: Path) -> None:
    task(tmp_path, 100, "100")
    assert outer_tids(100, (100, 101), tmp_path) == {100: 100, 101: 101}


def test_a_process_in_a_namespace_of_its_own_knows_them_by_other_ids(tmp_path: Path) -> None:
    task(tmp_path, 100, "100\t1")
    task(tmp_path, 107, "107\t8")
    task(tmp_path, 109, "109\t20\t9")
    assert outer_tids(100, (100, 107, 109), tmp_path) == {1: 100, 8: 107, 9: 109}


def test_a_thread_that_has_ended_is_left_out(tmp_path: Path) -> None:
    task(tmp_path, 100, "100\t1")
    assert outer_tids(100, (100, 107), tmp_path) == {1: 100}


def test_where_proc_does_not_say(tmp_path: Path) -> None:
    assert outer_tids(100, (100,), tmp_path) == {100: 100}
