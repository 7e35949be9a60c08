from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from profiler.errors import KernelError
from profiler.linux import bpf, probe_links
from profiler.linux.bpf import UprobeSite, VerifierError
from profiler.linux.module import ITERATOR_FUNCTIONS
from profiler.linux.probe_link_kinds import ProbeLinkKind
from profiler.linux.probe_links import ProbeLinks
from profiler.probes import attach
from profiler.probes.attach import VARIANTS, AttachPoint, UprobePrograms, load_programs

SOURCES = Path(__file__).parents[3] / "bpf"
PROGRAM = re.compile(r"^int (\w+)\(struct pt_regs \*ctx\)\n\{\n(.*?)^\}\n", re.M | re.S)


def programs() -> dict[str, str]:
    """Return the body of every program for probes, by its name."""
    texts = (path.read_text() for path in sorted(SOURCES.glob("*.[ch]")))
    return {m[1]: m[2] for text in texts for m in PROGRAM.finditer(text)}


class KeptHere:
    """Keeps probes in this process, for each purpose."""

    def __init__(self) -> None:
        self.links: dict[str, ProbeLinks] = {}

    def attach(self, purpose: str, links: list[Any]) -> None:
        self.links.setdefault(purpose, ProbeLinks()).attach(links)

    def detach(self, purpose: str) -> None:
        self.links[purpose].detach()


@pytest.mark.parametrize("counting", [False, True])
def test_busy_places_are_placed_last_and_removed_first(
    monkeypatch: pytest.MonkeyPatch, counting: bool
) -> None:
    linked: list[list[int]] = []
    closed: list[int] = []
    first_is_gone = Event()

    def link(_program: int, _kind: int, _path: str, sites: list[UprobeSite], *_: object) -> int:
        linked.append([site.file_offset for site in sites])
        return len(linked)

    monkeypatch.setattr(bpf, "link_uprobes", link)

    def close(number: int) -> None:
        closed.append(number)
        first_is_gone.set()

    def sleep(seconds: float) -> None:
        if seconds:  # a head start, however long the other thread waits for a CPU
            first_is_gone.wait(60)

    monkeypatch.setattr(os, "close", close)
    monkeypatch.setattr(probe_links, "time", SimpleNamespace(sleep=sleep))
    programs = UprobePrograms.__new__(UprobePrograms)
    program: Any = SimpleNamespace(descriptor=0)
    programs._entries = programs._entry_count = programs._returns = program
    keeper: Any = KeptHere()
    programs.variant, programs._keeper, programs._purposes = VARIANTS[0], keeper, set()
    places = [
        AttachPoint("/bin/a", offset, 0, 0, with_return, is_busy)
        for offset, with_return, is_busy in ((1, True, True), (2, False, True), (3, True, False))
    ]
    (programs.count if counting else programs.attach)(places, 1)
    # Returns are placed before entries, and who returns last.
    assert linked == ([[3], [1, 2]] if counting else [[3], [3], [1], [2, 1]])
    (programs.stop_counting if counting else programs.detach)()
    assert closed == list(range(len(linked), 0, -1))


class Kernel:
    """Stands in for a kernel: which kinds of link it has, and how many steps its verifier takes."""

    def __init__(self, kinds: set[ProbeLinkKind], most_tree_steps: int, functions: bool) -> None:
        self.kinds = kinds
        self.most_tree_steps = most_tree_steps
        self.functions = functions
        self.tried: list[tuple[str, int]] = []
        self.open = 0

    def probe_link_errno(self, kind: ProbeLinkKind) -> int:
        return 0 if kind in self.kinds else errno.EINVAL

    def kernel_functions(self) -> dict[str, int]:
        names = ITERATOR_FUNCTIONS
        return dict.fromkeys(names, 1) if self.functions else {}

    def compile_programs(self, _sources: object, macros: dict[str, int]) -> None:
        self.steps = macros.get("TREE_STEPS", 0)

    def extended(self, _compiled: object) -> Any:
        self.open += 1
        return SimpleNamespace(close=self._close)

    def _close(self) -> None:
        self.open -= 1

    def programs(self, module: Any, variant: Any, _checkpoints: bool) -> Any:
        self.tried.append((variant.links.value, self.steps))
        if self.steps > self.most_tree_steps:
            raise VerifierError(errno.E2BIG, "")
        return SimpleNamespace(variant=variant, rejected=())


@pytest.fixture
def load_on(monkeypatch: pytest.MonkeyPatch) -> Any:
    def load(kernel: Kernel) -> UprobePrograms:
        monkeypatch.setattr(attach, "probe_link_errno", kernel.probe_link_errno)
        monkeypatch.setattr(attach, "kernel_functions", kernel.kernel_functions)
        monkeypatch.setattr(attach, "compile_programs", kernel.compile_programs)
        monkeypatch.setattr(attach, "UprobePrograms", kernel.programs)
        base: Any = kernel
        return load_programs(base, {})

    return load


@pytest.mark.parametrize(
    ("kinds", "functions", "tried"),
    [
        ({ProbeLinkKind.MULTI, ProbeLinkKind.SINGLE}, True, ("multi", 0)),
        ({ProbeLinkKind.MULTI, ProbeLinkKind.SINGLE}, False, ("multi", 1_000)),
        ({ProbeLinkKind.SINGLE}, True, ("single", 1_000)),
    ],
    ids=["6.6", "6.6 without BTF", "5.10 and 6.1"],
)
def test_the_best_way_that_a_kernel_has_is_taken_without_a_warning(
    load_on: Any, kinds: set[ProbeLinkKind], functions: bool, tried: tuple[str, int]
) -> None:
    kernel = Kernel(kinds, 1_000, functions)
    programs = load_on(kernel)
    assert kernel.tried == [tried]
    assert programs.rejected == ()


def test_tree_walks_are_shortened_until_the_verifier_takes_them(load_on: Any) -> None:
    kernel = Kernel({ProbeLinkKind.SINGLE}, 250, functions=False)
    assert load_on(kernel).rejected == ()
    assert kernel.tried == [("single", 1_000), ("single", 250)]
    assert kernel.open == 1


def test_a_kernel_that_takes_no_walk_at_all_ends_in_one_line(load_on: Any) -> None:
    kernel = Kernel({ProbeLinkKind.SINGLE}, 0, functions=False)
    with pytest.raises(KernelError, match="takes none of our programs"):
        load_on(kernel)
    assert kernel.open == 0


def test_other_refusals_are_not_tried_again(load_on: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel({ProbeLinkKind.SINGLE}, 1_000, functions=False)

    def refuse(*_: object) -> None:
        kernel.tried.append(("single", kernel.steps))
        raise VerifierError(errno.EACCES, "R1 invalid mem access")

    kernel.programs = refuse  # type: ignore[assignment, method-assign]
    with pytest.raises(KernelError, match="R1 invalid mem access"):
        load_on(kernel)
    assert kernel.tried == [("single", 1_000)]
