"""SIP traffic to real Asterisks."""

import pytest
from conftest import start

from lab import traffic
from lab.configuration import SLOTS
from lab.instance import Instance, Options

pytestmark = pytest.mark.live


@pytest.mark.parametrize("kind", traffic.KINDS)
def test_every_request_is_answered(asterisk: Instance, kind: str) -> None:
    summary = traffic.run(kind, asterisk, rate=100, count=101)
    assert (summary.successful, summary.failed) == (101, 0)
    assert summary.complete


def test_a_realtime_peer_that_registers_is_built_and_freed() -> None:
    with start("build", "16", taskprocessors=200) as asterisk:
        before = asterisk.taskprocessor_count()
        assert traffic.run("register", asterisk, rate=50, count=50).complete
        # its taskprocessors are created and freed again: they did work, and none is left
        assert asterisk.taskprocessor_count() <= before + 50
        assert asterisk.cli("sip show peers like rt00001").count("rt00001") <= 1


def test_traffic_to_nobody_fails() -> None:
    nobody = Instance(Options("22", "nobody", endpoints=1), slot=SLOTS)
    summary = traffic.run("options", nobody, rate=10, count=2, seconds=2)
    assert (summary.successful, summary.complete) == (0, False)
