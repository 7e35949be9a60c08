"""Two profilers at once, each with a process of its own that runs the same file: neither writes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from profiler.binary.elf import Elf
from profiler.linux.bpf import UprobeSite
from profiler.linux.probe_link_kinds import ProbeLinkKind, load_empty_program, probe_link_errno

pytestmark = pytest.mark.root

SOURCE = Path(__file__).parent / "programs" / "slot.c"


@contextmanager
def running(path: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process


def wrong_values(process: subprocess.Popen[str]) -> int:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write("x")
    process.stdin.flush()
    return int(process.stdout.readline())


def offset_of(path: Path, symbol: str) -> int:
    """Return where a symbol is in a file."""
    listing = subprocess.run(["nm", path], check=True, capture_output=True, text=True).stdout
    address = next(int(line.split()[0], 16) for line in listing.splitlines() if symbol in line)
    elf = Elf.from_bytes(path.read_bytes())
    offset = elf.offset_of(address)
    assert offset is not None
    return offset


@pytest.mark.parametrize("kind", ProbeLinkKind, ids=lambda kind: kind.value)
def test_a_probe_inside_a_function_writes_nothing_into_the_other_process(
    kind: ProbeLinkKind, tmp_path: Path
) -> None:
    """Session links, where each is asked about both processes, overwrite the word at rsp."""
    if probe_link_errno(kind):
        return  # this kernel lacks it
    path = tmp_path / "slot"
    subprocess.run(["cc", "-O1", "-o", path, SOURCE], check=True)
    site = UprobeSite(offset_of(path, " inner"), 0)
    with ExitStack() as stack:
        processes = [stack.enter_context(running(path)) for _ in range(2)]
        for process in processes:
            program = load_empty_program(kind.attach_type)
            stack.callback(os.close, program)
            (link,) = kind.probe_links(program, str(path), [site], process.pid, is_return=False)
            stack.callback(os.close, link.open())
        assert [wrong_values(process) for process in processes] == [0, 0]
