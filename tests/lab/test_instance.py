import json
import socket
from pathlib import Path

import pytest

from lab import instance
from lab.errors import LabError
from lab.instance import Instance, Options


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EBPF_PROF_LAB", str(tmp_path))


def test_defaults_depend_on_the_version() -> None:
    assert Options("16").complete() == Options("16", "16", None, 0, 0, False)
    assert Options("22").complete() == Options("22", "22", None, 0, 100, False)
    assert Options("22", endpoints=0).complete().endpoints == 0


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", "x" * 33, "a b"])
def test_a_name_that_is_no_file_name_is_refused(name: str) -> None:
    with pytest.raises(LabError, match="is no name"):
        Options("16", name).complete()


def test_an_unknown_version_is_refused() -> None:
    with pytest.raises(LabError, match="no Asterisk 13"):
        Options("13").complete()


def test_the_count_is_the_one_of_the_last_line() -> None:
    text = "Processor  Processed\n12 taskprocessors/x-1  0\n\n55600 taskprocessors\n\n"
    assert instance.parse_taskprocessor_count(text) == 55600
    with pytest.raises(LabError, match="no count"):
        instance.parse_taskprocessor_count("No such command")


def test_an_answer_of_the_module_is_its_first_line() -> None:
    assert instance.parse_groundtruth("x", '{"a": 1}\nmore\n') == {"a": 1}


@pytest.mark.parametrize("answer", ['{"error": "no memory"}\nfailed\n', "", "Usage: x\n"])
def test_an_answer_that_refuses_is_an_error(answer: str) -> None:
    with pytest.raises(LabError, match="groundtruth make x"):
        instance.parse_groundtruth("make x", answer)


def test_the_lowest_slot_that_nobody_has_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instance, "port_is_free", lambda port: True)
    others = [Instance(Options("16", "a"), 0), Instance(Options("22", "b"), 1)]
    assert instance.free_slot("16", others) == 1
    assert instance.free_slot("22", others) == 0


def test_a_slot_whose_port_is_taken_is_passed_over() -> None:
    wanted = instance.free_slot("16", [])
    port = Instance(Options("16", "a"), wanted).sip_port
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", port))
        assert instance.free_slot("16", []) > wanted


def test_what_a_killed_lab_left_is_swept(tmp_path: Path) -> None:
    known, orphan = tmp_path / "instances/known", tmp_path / "instances/orphan"
    known.mkdir(parents=True)
    orphan.mkdir()
    state = {"options": {"version": "16", "name": "known"}, "slot": 0}
    (known / instance.STATE).write_text(json.dumps(state))
    instance.sweep()
    assert known.exists()
    assert not orphan.exists()


def test_an_instance_that_does_not_run_has_no_pid() -> None:
    one = Instance(Options("16", "none"), 0)
    assert not one.running
    with pytest.raises(LabError, match="not running"):
        _ = one.pid
