"""Whoever is killed while probes come and go leaves none behind."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from profiler.binary.probe_sites import choose_site
from profiler.binary.symtab import read_symtab
from profiler.linux.bpf import UprobeSite
from profiler.linux.probe_keeper import Keeper
from profiler.linux.probe_link_kinds import load_empty_program
from profiler.linux.probe_links import ProbeLink, ProbeLinks
from profiler.process.mappings import parse_maps, read_maps
from tests.compiled import build, image_of
from tests.live.outside import changed_code, code_left
from tests.ways import plain_links

pytestmark = pytest.mark.root

FUNCTIONS = 16
SOURCE = (
    "#include <unistd.h>\n"
    + "".join(
        f"__attribute__((noinline)) int probed{i}(int n) {{ usleep(n); return n + {i}; }}\n"
        for i in range(FUNCTIONS)
    )
    + "int main(void)\n{\n    for (;;) {\n"
    + "".join(f"        probed{i}(50);\n" for i in range(FUNCTIONS))
    + "    }\n}\n"
)
BREAKPOINT = b"\xcc"
ROUNDS = 40  # without a keeper, about one in six leaves something


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("keeper"), SOURCE, "-O1", "-fno-optimize-sibling-calls")


@pytest.fixture
def target(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([path]) as process:
        yield process
        process.kill()


@pytest.fixture
def program() -> Iterator[int]:
    descriptor = load_empty_program(plain_links().attach_type)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def keeper(program: int) -> Iterator[Keeper]:
    one = Keeper([program])
    yield one
    one.close()


def sites_of(path: Path) -> list[UprobeSite]:
    image = image_of(path)
    table = read_symtab(image.elf)
    assert table is not None
    sites = []
    for index in range(FUNCTIONS):
        symbol = table.find(f"probed{index}")
        assert symbol is not None
        site = choose_site(image, symbol.value, symbol.name, ())
        sites.append(UprobeSite(site.file_offset, 0))
    return sites


def everywhere(path: Path, program: int, pid: int) -> list[ProbeLink]:
    return plain_links().probe_links(program, str(path), sites_of(path), pid, is_return=False)


@contextmanager
def child(work: Callable[[], None]) -> Iterator[int]:
    pid = os.fork()
    if not pid:
        try:
            work()
        finally:
            os._exit(1)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def await_change(pid: int, path: Path) -> None:
    """Return when a probe was written: then others are being written, or removed."""
    code = next(m for m in parse_maps(read_maps(pid)) if m.path == str(path))
    at = [code.start + site.file_offset - code.offset for site in sites_of(path)]
    deadline = time.monotonic() + 60
    with Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        while all(os.pread(memory.fileno(), 1, address) != BREAKPOINT for address in at):
            assert time.monotonic() < deadline


def test_a_kill_while_probes_come_and_go_leaves_none(
    path: Path, program: int, target: subprocess.Popen[bytes]
) -> None:
    links = everywhere(path, program, target.pid)

    def place_and_remove() -> None:
        keeper = Keeper([program])
        while True:
            keeper.attach("measure", links)
            keeper.detach("measure")

    for _ in range(ROUNDS):
        with child(place_and_remove):
            await_change(target.pid, path)
        assert code_left(target.pid) == []


def test_probes_stay_as_long_as_they_are_wanted(
    path: Path, program: int, target: subprocess.Popen[bytes], keeper: Keeper
) -> None:
    links = everywhere(path, program, target.pid)
    keeper.attach("measure", links)
    assert len(changed_code(target.pid)) == FUNCTIONS
    keeper.detach("measure")
    assert code_left(target.pid) == []
    keeper.attach("measure", links)
    keeper.close()
    assert code_left(target.pid) == []
    with pytest.raises(OSError, match="closed"):
        keeper.attach("measure", links)
    keeper.detach("measure")  # nothing is left to be taken away


def test_what_the_kernel_refuses_is_reported(
    path: Path, program: int, target: subprocess.Popen[bytes], keeper: Keeper
) -> None:
    wrong = plain_links().probe_links(program, "/nowhere", [UprobeSite(0, 0)], 1, is_return=False)
    with pytest.raises(FileNotFoundError):
        keeper.attach("measure", [*everywhere(path, program, target.pid), *wrong])
    assert code_left(target.pid) == []


def test_a_keeper_that_was_killed_is_an_error(keeper: Keeper) -> None:
    os.kill(keeper._pid, signal.SIGKILL)
    with pytest.raises(OSError) as caught:
        keeper.attach("measure", [])
    assert caught.value.errno in (errno.EPIPE, errno.ECONNRESET)
    keeper.detach("measure")


def test_the_keeper_holds_nothing_but_programs(program: int) -> None:
    reading, writing = os.pipe()
    keeper = Keeper([program])
    try:
        keeper.detach("measure")  # it has answered, so it lives
        os.close(writing)
        assert os.read(reading, 1) == b""
        opened = {str(entry.readlink()) for entry in Path(f"/proc/{keeper._pid}/fd").iterdir()}
        kinds = {name.split(":")[0] for name in opened}
        assert kinds == {"/dev/null", "socket", "anon_inode"}
        assert os.getsid(keeper._pid) == keeper._pid
        assert Path(f"/proc/{keeper._pid}/comm").read_text() == "probe-keeper\n"
    finally:
        keeper.close()
        os.close(reading)


def test_what_a_killed_process_has_left_goes_with_the_next_probes(
    path: Path, program: int, target: subprocess.Popen[bytes], keeper: Keeper
) -> None:
    links = everywhere(path, program, target.pid)

    def place_and_remove() -> None:
        own = ProbeLinks()
        while True:
            own.attach(links)
            own.detach()

    for _ in range(4 * ROUNDS):  # nothing is left where the kernel has mended it
        with child(place_and_remove):
            await_change(target.pid, path)
        if code_left(target.pid, seconds=0.2):
            break
    keeper.attach("measure", links)
    keeper.detach("measure")
    assert code_left(target.pid) == []
