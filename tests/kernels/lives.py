"""What tasks, links and objects go through, beside what the lab's module does."""

from __future__ import annotations

from itertools import product

from profiler.model.leaks import Fate
from tests.kernels.place import Place, asterisk
from tests.live.following import busy, check, followed, of_function
from tests.live.link_runs import linking_functions, recorded_growing
from tests.live.task_runs import groups_of, recorded, tasks_of
from tests.task_programs import REGISTERS, check_load

_RATE, _PUSH_S = 20, 3
_FOLLOW_S = 10.0
_GROW_S = 40


def check_task_programs(place: Place) -> str:
    """The programs that report tasks load, for every register that a build may keep a task in."""
    for (task, processor), is_known in product(REGISTERS, (True, False)):
        check_load(task, processor, is_known)
    return ""


def check_tasks(place: Place) -> str:
    """Each task is seen when it is pushed, when it begins and when it ends."""
    pushed = _RATE * _PUSH_S
    words = f"processors=3 rate={_RATE} seconds={_PUSH_S} service=2000"
    recording, truth = recorded(asterisk("16"), "kernels", words)
    groups = groups_of(tasks_of(recording), "kernels")
    ended = sum(group.run_ns.count for group in groups)
    assert truth["executed"] == pushed, truth
    assert sum(group.pushed for group in groups) == ended == pushed, f"{ended} of {pushed}"
    return f"{ended} of {pushed}"


def check_links(place: Place) -> str:
    """Who links into a container that grows is counted, with whole stacks."""
    counts = linking_functions(recorded_growing(asterisk("16"), _GROW_S, budget_ratio=None))
    assert counts["enlist"] > _RATE, counts
    return f"{counts['enlist']} of {counts.total()} by the module"


def check_objects(place: Place) -> str:
    """Objects are followed from birth to end, and histories lead to what memory shows."""
    return f"{_followed('16')} with 16, {_followed('22')} with 22"


def _followed(version: str) -> int:
    """Return how many objects were seen from birth to end."""
    target = asterisk(version)
    with busy(target, "make {} list 1 20", "free {}"):
        recording = followed(target, _FOLLOW_S)
    check(recording)
    nodes = of_function(recording, "hash_ao2_new_node")
    ended = [one for one in nodes if one.is_whole and one.fate is Fate.FREED and one.history]
    assert ended and all(one.is_end_exact for one in ended), f"{len(ended)} of {len(nodes)}"
    return len(ended)
