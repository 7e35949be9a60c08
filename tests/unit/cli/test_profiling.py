from __future__ import annotations

from profiler.cli.profiling import folder_of


def test_two_processes_have_two_folders() -> None:
    first, second = folder_of(4711), folder_of(4712)
    assert first != second
    assert str(first).startswith("ebpf-prof-asterisk-")
