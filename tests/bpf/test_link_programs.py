"""Links of a program into containers: all are counted, each by its call stack."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from profiler.binary.instructions import RBP, RDI
from profiler.binary.probe_sites import choose_site
from profiler.links.programs import LinkPrograms
from profiler.process.mappings import TargetCode
from profiler.unwind.kernel_tables import TableLibrary, UnwindTables
from profiler.unwind.stacks import UnwoundStacks, stack_name
from profiler.wire.unwind import WHOLE
from tests.compiled import build, image_of, start_of, symbols_of
from tests.programs import sampling_module

pytestmark = pytest.mark.root

# Containers are any addresses here. Each line that is read makes 7, 3 and 5 links.
SOURCE = r"""
#include <pthread.h>
#include <stdio.h>
#define NI __attribute__((noinline))
long total;
NI void __ao2_link(void *container, void *object) {
    char room[64]; asm volatile("" :: "r"(room)); total += (long)container ^ (long)object;
}
NI void often(void *c) { for (int i = 0; i < 7; i++) __ao2_link(c, &i); total++; }
NI void seldom(void *c) { for (int i = 0; i < 3; i++) __ao2_link(c, &i); total++; }
NI void elsewhere(void *c) { for (int i = 0; i < 5; i++) __ao2_link(c, &i); total++; }
NI void *run(void *unused) {
    often((void *)0x1000); seldom((void *)0x1000); elsewhere((void *)0x2000); total++;
    return 0;
}
int main(void) {
    puts("ready"); fflush(stdout);
    for (int c = getchar(); c != EOF; c = getchar()) {
        pthread_t thread;
        pthread_create(&thread, 0, run, 0);
        pthread_join(thread, 0);
        puts("done"); fflush(stdout);
    }
}
"""
ALL_NS = 1 << 62


@dataclass(frozen=True)
class Linking:
    """A program that links, and what counts that."""

    process: subprocess.Popen[str]
    programs: LinkPrograms
    path: Path
    stacks: UnwoundStacks

    def round(self) -> None:
        """Let it make all its links."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("x")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def named(self) -> dict[tuple[int, str], int]:
        """Return links by container and by the function that linked."""
        starts = sorted((start, name) for name, start in symbols_of(self.path).items())
        for record in self.programs.module.ring_buffer("unwind_stacks").drain():
            self.stacks.add(stack_name(record), record)
        found: dict[tuple[int, str], int] = {}
        for link, count in self.programs.counts():
            caller = self.stacks[link.name].frames[0] - 1
            name = [name for start, name in starts if start <= caller][-1]
            found[link.container, name] = found.get((link.container, name), 0) + count
        return found


@pytest.fixture(scope="module", params=["-O0", "-O2", "-O2 -fomit-frame-pointer"])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build it so that its addresses are those of its file."""
    flags = (*request.param.split(), "-no-pie", "-fno-pie", "-rdynamic", "-pthread")
    return build(tmp_path_factory.mktemp("links"), SOURCE, *flags)


@pytest.fixture
def linking(program: Path) -> Iterator[Linking]:
    """Start the program, with nothing counted yet."""
    with ExitStack() as stack:
        pipe = subprocess.PIPE
        process = stack.enter_context(
            subprocess.Popen([program], stdin=pipe, stdout=pipe, text=True)
        )
        stack.callback(process.kill)
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        code, library = TargetCode(process.pid), TableLibrary()
        code.refresh()
        library.prepare(code.current)
        base = stack.enter_context(sampling_module(process.pid, library.map_sizes()))
        UnwindTables(base, library).update(code.current)
        image = image_of(program)
        site = choose_site(image, start_of(image, "__ao2_link"), "__ao2_link", (RDI, RBP))
        programs = LinkPrograms(stack, base, site, str(program))
        stack.callback(programs.detach)
        yield Linking(process, programs, program, UnwoundStacks())


def test_links_into_watched_containers_are_counted_by_who_links(linking: Linking) -> None:
    linking.programs.watch({0x1000})
    linking.programs.control(ALL_NS, 0, 0)
    linking.programs.attach(linking.process.pid)
    for _ in range(20):
        linking.round()
    assert linking.named() == {(0x1000, "often"): 140, (0x1000, "seldom"): 60}
    state = linking.programs.state()
    assert (state.events, state.others, state.refused, state.lost) == (300, 100, 0, 0)


def test_whole_stacks_are_kept(linking: Linking) -> None:
    linking.programs.watch({0x2000})
    linking.programs.control(ALL_NS, 0, 0)
    linking.programs.attach(linking.process.pid)
    linking.round()
    assert linking.named() == {(0x2000, "elsewhere"): 5}
    [(link, _)] = linking.programs.counts()
    assert linking.stacks.cause(link.name) == WHOLE


def test_nothing_is_counted_before_it_is_allowed_and_after_the_probe_is_gone(
    linking: Linking,
) -> None:
    linking.programs.watch({0x1000})
    linking.programs.attach(linking.process.pid)
    linking.round()
    assert linking.programs.state().refused == linking.programs.state().events == 15
    linking.programs.detach()
    linking.programs.control(ALL_NS, 0, 0)
    linking.round()
    assert linking.programs.state().events == 15
    assert not list(linking.programs.counts())


def test_when_its_allowance_is_spent_no_more_is_counted(linking: Linking) -> None:
    linking.programs.watch({0x1000})
    linking.programs.control(1_000, 100, 150)
    linking.programs.attach(linking.process.pid)
    linking.round()
    state = linking.programs.state()
    assert state.used_up_ns == 1_000
    counted = sum(count for _, count in linking.programs.counts())
    assert counted == 4  # each takes 250
    assert state.events == counted + state.refused + state.others == 15
