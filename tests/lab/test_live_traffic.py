"""SIP traffic to real Asterisks."""

import re

import pytest

from lab import traffic
from lab.configuration import SLOTS
from lab.instance import Instance, Options
from tests.lab.asterisks import start

pytestmark = pytest.mark.live


@pytest.mark.parametrize("kind", traffic.KINDS)
def test_every_request_is_answered(asterisk: Instance, kind: str) -> None:
    summary = traffic.run(kind, asterisk, rate=100, count=101)
    assert (summary.successful, summary.failed) == (101, 0)
    assert summary.complete


def next_sequence(asterisk: Instance) -> int:
    """Return the number that Asterisk gives the next taskprocessor, by making one."""
    asterisk.groundtruth("tps leak 1")
    listing = asterisk.cli("core show taskprocessors")
    return max(int(text, 16) for text in re.findall(r"leaked\d+-([0-9a-f]{8})", listing))


def test_each_register_of_a_realtime_peer_makes_three_taskprocessors_and_frees_them() -> None:
    with start("build", "16") as asterisk:
        for _ in range(20):
            count = asterisk.stable_taskprocessor_count()
            before = next_sequence(asterisk)
            sent = traffic.run("register", asterisk, rate=100, count=101)
            assert sent.complete
            if not sent.retransmissions:  # where answers are late, it is more than one each
                break
        assert asterisk.stable_taskprocessor_count() == count + 1
        assert next_sequence(asterisk) - before - 1 == 3 * 101


def test_traffic_to_nobody_fails() -> None:
    nobody = Instance(Options("22", "nobody", endpoints=1), slot=SLOTS)
    summary = traffic.run("options", nobody, rate=10, count=2, seconds=2)
    assert (summary.successful, summary.complete) == (0, False)
