"""Real Asterisks for the live tests, and a guard that nothing of a run outlives it.

With EBPF_PROF_TEST_KEEP=1 the Asterisks keep running after the tests, for the next ones.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from lab import instance
from lab.instance import Instance, Options
from profiler.wire.lookups import Place
from tests.counting import Counting
from tests.live.outside import code_left, leftovers, present

_KEEP = bool(os.environ.get("EBPF_PROF_TEST_KEEP"))
_PREFIX = "live" if _KEEP else f"live{os.getpid()}"
TASKPROCESSORS = 55_585


def _start(name: str, version: str, **options: object) -> Iterator[Instance]:
    asterisk = instance.start(Options(version, f"{_PREFIX}-{name}", **options))  # type: ignore[arg-type]
    yield asterisk
    if not _KEEP:
        asterisk.stop()


@pytest.fixture(scope="session")
def story() -> Iterator[Instance]:
    """The field story: 16 with 55,585 taskprocessors in 7 buckets."""
    yield from _start("story", "16", buckets=7, taskprocessors=TASKPROCESSORS)


@pytest.fixture(scope="session")
def sip() -> Iterator[Instance]:
    """16 as packaged, without load."""
    yield from _start("sip", "16")


@pytest.fixture(scope="session")
def peers() -> Iterator[Instance]:
    """16 as packaged, with tens of thousands of static peers."""
    yield from _start("peers", "16", endpoints=20_000)


@pytest.fixture(scope="session")
def pjsip() -> Iterator[Instance]:
    """22 as packaged."""
    yield from _start("pjsip", "22", endpoints=100)


@pytest.fixture(scope="session", params=["16", "22"])
def asterisk(request: pytest.FixtureRequest) -> Iterator[Instance]:
    """Each version as packaged, with the ground-truth module, for tests of exact counts."""
    for shared in _start(f"exact{request.param}", request.param):
        shared.cli("module load groundtruth.so")
        yield shared


@pytest.fixture(scope="module")
def ways(asterisk: Instance) -> Iterator[dict[bool, Counting]]:
    """All lookups of a module's Asterisk are measured in the best way, predicted or not."""
    with Counting(asterisk.pid) as probed, Counting(asterisk.pid, predicts=True) as predicted:
        assert probed.plan.exhausted_sites and not probed.plan.has(Place.TRAVERSAL_UNLOCK)
        yield {False: probed, True: predicted}


@pytest.fixture(params=[False, True], ids=["", "predicted"])
def counting(ways: dict[bool, Counting], request: pytest.FixtureRequest) -> Counting:
    """One of the two ways; open it to begin."""
    return ways[request.param]


@pytest.fixture
def short_lived() -> Iterator[Callable[..., Instance]]:
    """Return a function that starts an Asterisk for this test alone."""
    running: list[Instance] = []

    def begin(version: str = "16", **options: object) -> Instance:
        name = f"live{os.getpid()}-own{len(running)}"
        running.append(instance.start(Options(version, name, **options)))  # type: ignore[arg-type]
        return running[-1]

    yield begin
    for asterisk in running:
        asterisk.stop()


@pytest.fixture(autouse=True)
def nothing_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """No program, map or link of ours outlives a test, and no Asterisk's code stays changed."""
    before = present()
    asterisks = [
        request.getfixturevalue(name)
        for name in ("story", "sip", "peers", "pjsip", "asterisk")
        if name in request.fixturenames
    ]
    yield
    assert not any(leftovers(before).values())
    for asterisk in asterisks:
        assert code_left(asterisk.pid) == []
