from __future__ import annotations

import os
import re
import time

import pytest

from profiler.record.assembly.host import parse_version, read_host


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch):
    """Return a function that puts this process into a time zone."""

    def enter(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield enter
    monkeypatch.undo()
    time.tzset()


def test_the_machine_says_its_name_kernel_and_cpus() -> None:
    host = read_host("2026-11-24T05:43:10Z")
    assert host is not None
    assert (host.name, host.kernel_release) == (os.uname().nodename, os.uname().release)
    assert host.cpus == os.sysconf("SC_NPROCESSORS_ONLN")


def test_local_time_has_its_offset_and_the_zone_of_that_day(zone) -> None:
    zone("CET-1CEST,M3.5.0,M10.5.0/3")
    winter, summer = read_host("2026-11-24T05:43:10Z"), read_host("2026-07-24T23:43:10Z")
    assert winter is not None and summer is not None
    assert (winter.local_time, winter.time_zone) == ("2026-11-24T06:43:10+01:00", "CET")
    assert (summer.local_time, summer.time_zone) == ("2026-07-25T01:43:10+02:00", "CEST")


def test_the_version_of_bcc_is_read_from_its_file() -> None:
    assert parse_version("# made by cmake\n__version__ = '0.26.0'\n") == "0.26.0"
    assert parse_version('__version__ = "0.18.0+ds-2"') == "0.18.0+ds-2"
    assert parse_version("version = '1'") is None


def test_it_is_the_version_of_the_bcc_that_is_there() -> None:
    import bcc

    host = read_host("2026-11-24T05:43:10Z")
    assert host is not None
    assert host.bcc_version == bcc.__version__
    assert re.match(r"\d+\.\d+", bcc.__version__)


def test_a_machine_that_may_not_be_asked_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise PermissionError

    monkeypatch.setattr("os.uname", refuse)
    assert read_host("2026-11-24T05:43:10Z") is None
