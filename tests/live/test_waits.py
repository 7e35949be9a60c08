"""`ebpf-prof waits` against scenes whose truth is known: every waiter, owner and circle."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.instance import Instance, Options, start
from profiler.model.waits import WaitKind
from tests.live import running
from tests.waiting import HOLDING, Actor, Scene, scene

pytestmark = pytest.mark.live
KINDS = {  # of the resting threads of a scene
    "condition": WaitKind.CONDITION,
    "timed-condition": WaitKind.CONDITION,
    "sleep": WaitKind.SLEEP,
    "poll": WaitKind.POLL,
    "read": WaitKind.READ,
    "spin": WaitKind.RUNNING,
}


@dataclass(frozen=True)
class Taken:
    """A picture, and between which moments it was taken."""

    picture: dict[str, Any]
    began_ns: int
    ended_ns: int

    def lock(self, index: int) -> dict[str, Any]:
        found: dict[str, Any] = self.picture["locks"][index]
        return found

    def thread(self, tid: int) -> dict[str, Any]:
        return next(one for one in self.picture["threads"] if one["tid"] == tid)

    @property
    def edges(self) -> set[tuple[int, int, int | None]]:
        return {
            (wait["waiter"], self.lock(wait["lock"])["address"], wait["owner"])
            for wait in self.picture["waits"]
        }


def waits(asterisk: Instance, tmp_path: Path, *options: str) -> running.Result:
    return running.run(["waits", "-p", str(asterisk.pid), *options], tmp_path / "none")


def take(asterisk: Instance, tmp_path: Path) -> Taken:
    began_ns = time.monotonic_ns()
    done = waits(asterisk, tmp_path, "--json")
    assert (done.code, done.errors) == (0, "")
    return Taken(json.loads(done.out), began_ns, time.monotonic_ns())


def check_waiter(taken: Taken, made: Scene, actor: Actor) -> None:
    """Assert that a waiter's time, stack and object are the true ones."""
    thread = taken.thread(actor.tid)
    assert thread["name"] == "gt-waits"
    assert thread["cause"] is None and not thread["moved"]
    assert thread["has_timeout"] == actor.is_timed
    names = [frame["name"] for frame in thread["frames"]]
    assert names.index(actor.function) < names.index(HOLDING)
    shortest, longest = taken.began_ns - made.settled_ns, taken.ended_ns - made.began_ns
    assert shortest <= thread["waiting_ns"] <= longest
    lock = taken.lock(thread["lock"])
    assert lock["address"] == actor.wants
    found = lock["object"] and lock["object"]["address"]
    assert found == made.objects.get(lock["address"])


def check_owner(taken: Taken, actor: Actor) -> None:
    """Assert that who has a mutex for itself is known to, how often, and since which function."""
    lock = next(one for one in taken.picture["locks"] if one["address"] == actor.has)
    assert lock["owner"] == actor.tid
    assert (lock["recursion"] or 1) == actor.times
    (held,) = taken.thread(actor.tid)["holds"]
    assert taken.lock(held["lock"]) == lock


def check(taken: Taken, made: Scene) -> None:
    assert {edge for edge in taken.edges if edge[0] in made.tids} == made.edges
    wanted = {lock for _, lock, _ in made.edges}
    for actor in made.actors:
        if actor.wants is not None:
            check_waiter(taken, made, actor)
        else:
            assert taken.thread(actor.tid)["kind"] == KINDS[actor.rest].value
        if actor.has in wanted and not made.readers:
            check_owner(taken, actor)
    assert all(wait["stands"] for wait in taken.picture["waits"] if wait["waiter"] in made.tids)


@pytest.mark.parametrize(
    "words",
    [
        "hold threads=7 lock=mutex",
        "hold threads=3 lock=object times=3 rest=sleep",
        "hold threads=3 lock=rwlock rest=poll",
        "hold threads=3 lock=object-rwlock rest=read",
        "readers threads=5 lock=rwlock rest=timed-condition",
        "readers threads=5 lock=object-rwlock rest=spin",
        "chain threads=7 lock=mixed",
    ],
)
def test_every_waiter_and_owner_is_seen(asterisk: Instance, tmp_path: Path, words: str) -> None:
    with scene(asterisk, words) as made:
        taken = take(asterisk, tmp_path)
    check(taken, made)
    assert taken.picture["deadlocks"] == []
    (root,) = (actor.tid for actor in made.actors if actor.wants is None)
    (chain,) = (one for one in taken.picture["chains"] if one["root"] == root)
    behind = {wait["waiter"] for queue in chain["queues"] for wait in queue["waits"]}
    assert behind == made.tids - {root}


def test_a_writer_behind_readers(asterisk: Instance, tmp_path: Path) -> None:
    with scene(asterisk, "writer threads=5 lock=rwlock") as made:
        taken = take(asterisk, tmp_path)
    check(taken, made)
    ((_, address, _),) = made.edges
    lock = next(one for one in taken.picture["locks"] if one["address"] == address)
    assert (lock["owner"], lock["readers"]) == (None, 5)


def test_every_circle_is_a_deadlock(asterisk: Instance, tmp_path: Path) -> None:
    with scene(asterisk, "cycles behind=5") as made:
        taken = take(asterisk, tmp_path)
        text, line = waits(asterisk, tmp_path), waits(asterisk, tmp_path, "--check")
    check(taken, made)
    found = [[wait["waiter"] for wait in one["waits"]] for one in taken.picture["deadlocks"]]
    assert sorted(found) == made.circles()
    assert sorted(map(len, found)) == [2, 3, 7]
    behind = [
        wait["waiter"]
        for one in taken.picture["deadlocks"]
        for queue in one["behind"]
        for wait in queue["waits"]
    ]
    assert set(behind) == made.tids - {tid for circle in found for tid in circle}
    assert [one["id"] for one in taken.picture["findings"]] == ["deadlock"] * 3
    assert "DEADLOCK 3  (" in text.out
    assert (line.code, line.errors) == (11, "")
    assert line.out.startswith("DEADLOCK: ") and line.out.count("\n") == 1
    assert waits(asterisk, tmp_path, "--check").code == 0  # when it is resolved


def test_who_waits_too_long_is_stuck(asterisk: Instance, tmp_path: Path) -> None:
    with scene(asterisk, "hold threads=3 rest=sleep"):
        # All of them stand for the 0.3 s between both looks.
        stuck = waits(asterisk, tmp_path, "--check", "--stuck", "0.1s")
        patient = waits(asterisk, tmp_path, "--check", "--stuck", "24h")
    assert (stuck.code, patient.code) == (10, 0)
    assert stuck.out.startswith("STUCK: thread ")
    assert "3 wait for a lock" in patient.out


def test_threads_that_wait_for_work_are_no_trouble(asterisk: Instance, tmp_path: Path) -> None:
    with scene(asterisk, "idle") as made:
        taken = take(asterisk, tmp_path)
    check(taken, made)
    assert taken.picture["findings"] == []
    assert taken.picture["status"] == "ok"
    functions = {actor.tid: actor.function for actor in made.actors}
    for tid, function in functions.items():
        assert function in [frame["name"] for frame in taken.thread(tid)["frames"]]


def test_in_a_pid_namespace_tids_are_ours(tmp_path: Path) -> None:
    options = Options("16", f"live{os.getpid()}-spaces", namespaces=True)
    with start(options) as inside:
        truth = {one["tid"] for one in inside.groundtruth("wait cycle threads=3")["threads"]}
        taken = json.loads(waits(inside, tmp_path, "--json").out)
        (deadlock,) = taken["deadlocks"]
        assert {inner(inside.pid, wait["waiter"]) for wait in deadlock["waits"]} == truth
        assert {wait["owner"] for wait in deadlock["waits"]} == {
            wait["waiter"] for wait in deadlock["waits"]
        }
        inside.groundtruth("wait end", 60)


def inner(pid: int, tid: int) -> int:
    """Return a thread's id in its own pid namespace."""
    status = Path(f"/proc/{pid}/task/{tid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("NSpid:"))
    return int(line.split()[-1])


def test_pictures_one_after_another(asterisk: Instance, tmp_path: Path) -> None:
    with scene(asterisk, "hold threads=2"):
        done = waits(asterisk, tmp_path, "--every", "0.1s", "--count", "3", "--json")
    pictures = [json.loads(line) for line in done.out.splitlines()]
    assert done.code == 0
    assert [len(one["waits"]) >= 2 for one in pictures] == [True] * 3
