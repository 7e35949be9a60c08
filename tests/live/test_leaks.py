"""Objects of real Asterisks followed from their birth."""

from __future__ import annotations

import io
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import traffic
from lab.instance import Instance
from profiler.files.leaks_file import read_leaks
from profiler.model.leaks import Fate
from profiler.probes.attach import VARIANTS, Variant, variants_here
from profiler.renderers.terminal import leaks_text
from profiler.report.leaks.leaks_profile import leaks_profile
from tests.live.following import busy, check, followed, of_function
from tests.live.running import run
from tests.ways import way_name

pytestmark = [pytest.mark.live, pytest.mark.root]


def test_objects_that_are_made_and_freed_have_whole_histories(asterisk: Instance) -> None:
    with busy(asterisk, "make {} list 1 20", "run {} hit count=20", "free {}"):
        recording = followed(asterisk, 3)
    check(recording)
    nodes = of_function(recording, "hash_ao2_new_node")
    freed = [node for node in nodes if node.fate is Fate.FREED]
    assert len(freed) > 10 and all(node.is_end_exact for node in freed)
    assert sum(node.is_whole for node in freed) > 10
    assert {change.site is not None for node in freed for change in node.history} == {True}


def test_what_is_kept_is_alive_with_the_references_that_its_history_says(
    asterisk: Instance,
) -> None:
    with busy(asterisk, "make {} list 1 7"):
        recording = followed(asterisk, 3)
    check(recording)
    alive = [n for n in of_function(recording, "hash_ao2_new_node") if n.fate is Fate.ALIVE]
    assert len(alive) > 10
    assert {node.references for node in alive} == {1}, Counter(n.references for n in alive)
    linked = [c for c in recording.containers if c.elements and c.elements[-1][1] == 7]
    assert linked  # containers that were filled, each with its size


@pytest.mark.parametrize("variant", VARIANTS, ids=way_name)
def test_every_way_to_attach_sees_the_same(asterisk: Instance, variant: Variant) -> None:
    if variant.why_not_here() or variant == variants_here()[0]:
        return  # this kernel lacks it, or all other tests follow in it
    with busy(asterisk, "make {} hash 3 20", "free {}"):
        recording = followed(asterisk, 2, variants=(variant,))
    check(recording)
    assert any(one.is_whole and one.fate is Fate.FREED for one in recording.objects)


def test_threads_that_change_the_same_references_leave_no_wrong_history(
    asterisk: Instance,
) -> None:
    with busy(asterisk, "make {} list 1 50", "run {} hit count=300 threads=8", "free {}"):
        recording = followed(asterisk, 3)
    check(recording)
    tids = {change.tid for one in recording.objects for change in one.history}
    assert len(tids) > 4


def test_stacks_are_whole(asterisk: Instance) -> None:
    with busy(asterisk, "make {} list 1 20", "free {}"):
        recording = followed(asterisk, 2)
    stacks = [recording.stacks[one.stack] for one in recording.objects if one.stack is not None]
    assert stacks and not [stack for stack in stacks if stack.cause]


def test_the_budget_is_kept_under_traffic_and_gaps_are_said(
    short_lived: Callable[..., Instance],
) -> None:
    asterisk = short_lived("16", endpoints=50)
    sending = threading.Thread(target=traffic.run, args=("register", asterisk, 25, 300))
    sending.start()
    time.sleep(1)
    recording = followed(asterisk, 9, budget_ratio=0.01)
    sending.join()
    check(recording)
    assert recording.cost.lookups_ns <= 0.01 * recording.window.duration_ns
    assert len(recording.windows) > 1
    assert {one.is_whole for one in recording.objects} == {True, False}


def test_the_command_writes_what_was_followed(sip: Instance, tmp_path: Path) -> None:
    path = tmp_path / "run.leaks"
    with busy(sip, "make {} list 1 5", "free {}"):
        words = ["leaks", "-p", str(sip.pid), "-d", "2", "--budget", "off", "-o", str(path)]
        result = run(words, tmp_path, 2)
    assert result.code == 0, result.errors
    recording = read_leaks(path)
    check(recording)
    assert of_function(recording, "hash_ao2_new_node")
    shown = io.StringIO()
    leaks_text.render(leaks_profile(recording), shown)
    assert result.out == shown.getvalue()


def test_a_target_that_ends_is_said_and_nothing_of_it_is_guessed(
    short_lived: Callable[..., Instance],
) -> None:
    asterisk = short_lived("16")
    threading.Timer(2, asterisk.stop).start()
    recording = followed(asterisk, 20)
    assert recording.stopped_by == "target exit" and recording.target.exited
    assert recording.window.duration_s < 15
    assert Fate.ALIVE not in {one.fate for one in recording.objects}
