"""What counting comparisons costs: ours, and a trap for each comparison, side by side in one run.

Every lookup is counted. A trap for each comparison is placed as BCC and bpftrace do it, on the
function's first instruction, and by our own rules, on the first one there that the kernel emulates.
Costs are CPU time of the searching thread beyond that of the same lookups untraced.

Where the machine is too busy to keep a window open, the kernel refuses some lookups. That round is
repeated; a row in which it happens again and again is not measured.
"""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

from bench.session import Session
from bench.storm import Storm
from bench.tables import Table, promise
from lab import instance
from lab.instance import Instance
from profiler.asterisk.ao2_code import analyse
from profiler.binary.probe_sites import Site, choose_site, site_at
from profiler.linux.bcc import bpf_directory
from profiler.probes.planner import ProbePlanner
from profiler.process.mappings import TargetCode
from profiler.record.preparation.sampling import Options

ASTERISK = instance.Options("22")  # functions begin with endbr64, as in all new packages
CHAINS = (10, 100, 1_000, 8_000, 50_000)
ROUNDS = 5
SECONDS = 1.0
TRIES = 5
_MEASURED_COLUMNS = 7
_COUNT = """
#include <uapi/linux/ptrace.h>
BPF_ARRAY(calls, u64, 1);
int compared(struct pt_regs *ctx) { int zero = 0; calls.increment(zero); return 0; }
"""


class RefusedError(Exception):
    """Some lookups were refused, so not every one was measured."""


@dataclass(slots=True)
class Costs:
    """CPU time of one lookup, round by round."""

    plain: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)
    entry: list[float] = field(default_factory=list)
    placed: list[float] = field(default_factory=list)
    compared: float = 0.0  # comparisons of one lookup

    def extra_ns(self, which: list[float]) -> float:
        """Return the median cost of one lookup beyond the untraced one."""
        return statistics.median(a - b for a, b in zip(which, self.plain, strict=True))

    def per_comparison(self, which: list[float]) -> float:
        """Return the same for one comparison, in nanoseconds."""
        return self.extra_ns(which) / self.compared

    def ratio_of(self, traps: list[float]) -> float:
        """Return how many times as much as ours traps cost."""
        return cost_ratio(self.per_comparison(traps), self.per_comparison(self.ours))


def fixed_ns(short: Costs, longer: Costs) -> float:
    """Return what a measured lookup costs without its walk, from two lengths of chains."""
    node_ns = (longer.extra_ns(longer.ours) - short.extra_ns(short.ours)) / (
        longer.compared - short.compared
    )
    return short.extra_ns(short.ours) - node_ns * short.compared


def cost_ratio(trap_ns: float, ours_ns: float) -> float:
    """Return how many times as much a trap costs; infinite where ours is within their jitter."""
    return trap_ns / ours_ns if ours_ns > 0 else math.inf


def step_places(pid: int) -> tuple[str, Site, Site]:
    """Return the executable, and where a step along a chain can be trapped: as usual, by our rules.

    The step is the hash containers' method for the next node, which is called once for each
    comparison. It is packaged code, as comparators in the field are; that of the ground-truth
    module is not.
    """
    code = TargetCode(pid)
    code.refresh()
    planner = ProbePlanner(code)
    loaded = planner.executable()
    image = planner.image(loaded)
    table = next(table for table in analyse(image).vtables if table.kind == "hash")
    first = site_at(image, table.traverse_next, "next node", "first instruction")
    placed = choose_site(image, table.traverse_next, "next node", ())
    return os.path.realpath(f"/proc/{pid}/exe"), first, placed


@contextmanager
def trap(path: str, offset: int) -> Iterator[None]:
    """Count calls at a place of a file with BCC."""
    os.environ["BCC_KERNEL_SOURCE"] = str(bpf_directory() / "shim")
    import bcc

    module = bcc.BPF(text=_COUNT, cflags=["-w"])
    module.attach_uprobe(name=path, addr=offset, fn_name="compared")
    try:
        yield
    finally:
        # Not by detach_uprobe(): BCC 0.26 raises where tracefs is not mounted.
        for event in module.uprobe_fds.values():
            os.close(event)
        module.uprobe_fds.clear()
        module.cleanup()


def _cost(
    storm: Storm, seconds: float, keep_open: Callable[[], None] | None = None
) -> tuple[float, float]:
    """Return the CPU time and the comparisons of one lookup; call `keep_open` meanwhile."""
    start = storm.read()
    done = storm.read() - start
    while done.lookups < 8 or done.time_ns < seconds * 1e9:
        for _ in range(4):
            time.sleep(0.05)
            if keep_open is not None:
                keep_open()
        done = storm.read() - start
    return done.cpu_ns_per_lookup, done.comparisons / done.lookups


@contextmanager
def _every_lookup(session: Session) -> Iterator[Callable[[], None]]:
    """Measure every lookup; call what is yielded often, else the kernel refuses them."""
    measurement = session.run.lookups
    assert measurement is not None
    session.run.sampler.attach()
    seen = measurement.windows.seen
    measurement.step(time.monotonic_ns())

    def keep_open() -> None:
        measurement.step(time.monotonic_ns())

    try:
        yield keep_open
    finally:
        measurement.finish()
        session.run.sampler.detach()
    if any(window.refused for window in measurement.windows.all()[seen:]):
        raise RefusedError


def undisturbed(measure_once: Callable[[], float]) -> float:
    """Return what is measured the first time that nothing is refused; else RefusedError."""
    for _ in range(TRIES):
        with suppress(RefusedError):
            return measure_once()
    raise RefusedError


def measure(
    storm: Storm, session: Session, path: str, entry: int, placed: int, seconds: float
) -> Costs:
    """Return the costs in alternation: untraced, ours, a trap at the entry, a trap by our rules.

    Raises RefusedError where the machine is too busy.
    """

    def cost_of(way: Callable[[], object]) -> float:
        with way() as keep_open:  # type: ignore[attr-defined]
            return _cost(storm, seconds, keep_open)[0]

    costs = Costs()
    ways: tuple[tuple[list[float], Callable[[], object] | None], ...] = (
        (costs.plain, None),
        (costs.ours, lambda: _every_lookup(session)),
        (costs.entry, lambda: trap(path, entry)),
        (costs.placed, lambda: trap(path, placed)),
    )
    for _ in range(ROUNDS):
        for found, way in ways:
            if way is None:
                cost, costs.compared = _cost(storm, seconds)
            else:
                cost = undisturbed(partial(cost_of, way))
            found.append(cost)
    return costs


def _word(site: Site) -> str:
    return site.instruction.split()[0]


def _row(chain: int, costs: Costs) -> tuple[str, ...]:
    ours, first, second = map(costs.per_comparison, (costs.ours, costs.entry, costs.placed))
    return (
        f"{chain:,}",
        f"{statistics.median(costs.plain) / 1000:.2f} us",
        f"{statistics.median(costs.ours) / 1000:.2f} us",
        f"{ours:.1f} ns",
        f"{first:.0f} ns",
        f"{second:.0f} ns",
        f"{costs.ratio_of(costs.entry):.0f}",
        f"{costs.ratio_of(costs.placed):.0f}",
    )


def promises(by_chain: Mapping[int, Costs]) -> tuple[str, ...]:
    """Return what was promised, as far as its rows were measured."""
    verdicts: list[str] = []
    longer = [costs for chain, costs in by_chain.items() if chain >= 1_000]
    if longer:
        worst = max(costs.per_comparison(costs.ours) for costs in longer)
        entry = min(costs.ratio_of(costs.entry) for costs in longer)
        placed = min(costs.ratio_of(costs.placed) for costs in longer)
        verdicts += (
            promise(f"at most 80 ns a comparison ({worst:.1f})", worst <= 80),
            promise(f"at most 1/100 of a trap at entry (1/{entry:.0f})", entry >= 100),
            promise(f"at most 1/6 of a trap by our rules (1/{placed:.0f})", placed > 6),
        )
    if by_chain.keys() >= set(CHAINS[:2]):
        shortest, longer_one = (by_chain[chain] for chain in CHAINS[:2])
        fixed, whole = fixed_ns(shortest, longer_one), shortest.extra_ns(shortest.ours)
        verdicts += (
            promise(f"a lookup costs at most 3 us without its walk ({fixed:.0f} ns)", fixed <= 3e3),
            promise(f"one in a chain of 10 at most 3 us in all ({whole:.0f} ns)", whole <= 3e3),
        )
    verdicts += (
        f"NOT MEASURED, the machine was too busy: chain {chain:,}"
        for chain in CHAINS
        if chain not in by_chain
    )
    return tuple(verdicts)


def run(asterisk: Instance) -> Table:
    """Return the table over all chains."""
    rows = []
    by_chain: dict[int, Costs] = {}
    for chain in CHAINS:
        options = Options(1, budget_ratio=None)
        with Storm(asterisk, chain) as storm, Session(asterisk.pid, options) as session:
            session.on(0.6)  # learns the container
            path, first_site, placed_site = step_places(asterisk.pid)
            offsets = (first_site.file_offset, placed_site.file_offset)
            try:
                by_chain[chain] = measure(storm, session, path, *offsets, SECONDS)
                rows.append(_row(chain, by_chain[chain]))
            except RefusedError:
                rows.append((f"{chain:,}", *["not measured"] * _MEASURED_COLUMNS))
        print("counting", *rows[-1], flush=True)
    return Table(
        "counting",
        ("chain", "a lookup untraced", "ours", "ours a comparison")
        + (f"trap at `{_word(first_site)}`", f"trap at `{_word(placed_site)}`")
        + ("entry / ours", "rules / ours"),
        tuple(rows),
        promises(by_chain),
    )
