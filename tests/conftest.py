"""What holds for every test."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# So that a failure inside them shows its values.
pytest.register_assert_rewrite(
    "tests.bpf.unwinding", "tests.counted", "tests.counting", "tests.groundtruth"
)

# Not what another version, or another test run, has left where users keep it.
os.environ["EBPF_PROF_CACHE"] = str(Path(__file__).parents[1] / ".pytest_cache" / "ebpf-prof")

# How long an example takes is the machine's.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

# A shell's background job ignores Ctrl-C, and so would every command that a test runs.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_FIRST = Path(__file__).parent / "kernels"  # the longest tests: begun last, they would end alone


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the order, but begin with the tests in guests."""
    items.sort(key=lambda item: not item.path.is_relative_to(_FIRST))


_KINDS = ("anon_inode:bpf-prog", "anon_inode:bpf_link", "anon_inode:[perf_event]")


def _bpf_descriptors() -> set[tuple[int, str]]:
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            kind = str(entry.readlink())
        except FileNotFoundError:
            continue
        if kind in _KINDS:
            found.add((int(entry.name), kind))
    return found


@pytest.fixture(autouse=True)
def nothing_stays_attached() -> Iterator[None]:
    """The kernel keeps programs, links and events as long as their descriptors are open."""
    before = _bpf_descriptors()
    yield
    assert _bpf_descriptors() <= before
