"""Objects that live as those of the lab's module do, as a run of `ebpf-prof leaks` sees them.

Births are followed in the first part of each window, changes are seen in windows, and ends are
noticed several times a second. Everything is decided by a seed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from profiler.model.leaks import (
    LEAKS_SCHEMA,
    BirthCount,
    Change,
    ChangeKind,
    Fate,
    FollowedObject,
    LeaksRecording,
    ObjectType,
    WatchedContainer,
    WatchWindow,
)
from profiler.model.recording import (
    Accounting,
    CallSite,
    Cost,
    Frame,
    Stack,
    Window,
)
from tests import examples

SECOND = 1_000_000_000
WINDOW_S, BIRTHS_S, PERIOD_S, LOOK_S = 2.0, 1.0, 6.0, 0.25
INDEX = 0x5000  # the container
SITES = ("birth", "link", "find", "attach", "owner", "holder", "task")
# (function that takes, function that gives back) of each place where a reference may be forgotten
PLACES = {
    "birth": ("", "let_go"),
    "link": ("enlist", "retire"),
    "find": ("find", "consult"),
    "attach": ("attach", "detach"),
    "owner": ("adopt", "owner_destroy"),
    "holder": ("owner_alloc", "abandon"),
    "task": ("hand_over", "run_task"),
}
ALL = ("link", "find", "owner", "attach", "task")


@dataclass(frozen=True)
class Kind:
    name: str
    uses: tuple[str, ...]
    low_s: float
    high_s: float
    sometimes: float = 1.0  # share of the objects that are attached


HEALTHY = (
    Kind("brief", ("attach",), 0.01, 0.01),
    Kind("dialog", ("link", "find", "attach"), 0.2, 0.2),
    Kind("registration", ("link", "find"), 60, 60),
    Kind("cached", ("link",), 20, 20),
    Kind("owned", ("owner",), 1, 1),
    Kind("handed", ("task",), 0.1, 0.1),
    Kind("kept", ("attach",), 0.1, 2),
    Kind("optional", ("link", "attach"), 0.5, 0.5, sometimes=0.5),
    Kind("lasting", ("owner", "attach"), 0.01, 60),
    Kind("found", ALL, 2, 5),
)
LEAKY = Kind("leaky", ALL, 0.1, 0.8)
OWNER = Kind("owner", (), 0, 0)
# One for each phone stays in a container of its own; others come and go in another one.
ENTRY = Kind("entry", ("link",), 0.004, 0.004)
PHONES = 0x6000  # that container


@dataclass
class World:
    """What happens in the target, and what of it is seen."""

    seed: int
    duration_s: float
    rate: float
    forgets: str | None = None
    share: float = 0.0
    phones_until_s: float = 0.0  # an entry is kept for each phone that registers until then
    kinds: tuple[Kind, ...] = HEALTHY
    sites: list[CallSite] = field(default_factory=list)
    objects: list[FollowedObject] = field(default_factory=list)
    links: list[tuple[float, int]] = field(default_factory=list)
    phones: list[tuple[float, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        leaky = (LEAKY,) if self.forgets else ()
        entry = (ENTRY,) if self.phones_until_s else ()
        self.kinds = (*self.kinds, *leaky, *entry, OWNER)

    def site(self, function: str, file: str = "references.c") -> int:
        """Return the index of a place; each function has one for taking and giving back."""
        one = CallSite(file, 10 + sum(map(ord, function)), function)
        if one not in self.sites:
            self.sites.append(one)
        return self.sites.index(one)

    def run(self) -> None:
        """Let objects be born from 70 s before on, so that it begins in the middle."""
        for kind in self.kinds:
            if kind is OWNER:
                continue
            births = int((self.duration_s + 70) * self.rate)
            for number in range(births):
                self.live(kind, number / self.rate - 70 + self.random.random() / self.rate)
        for number in range(int(self.phones_until_s * self.rate)):
            born = (number + self.random.random()) / self.rate
            self.phones.append((born, 1))
            link = (born + 1e-5, ChangeKind.LINK, 0, "enlist")
            taken = (born + 2e-5, ChangeKind.REFERENCE, 1, "enlist")
            self.see(ENTRY, born, [link, taken, (born + 1e-3, ChangeKind.REFERENCE, -1, "let_go")])

    def live(self, kind: Kind, born: float) -> None:
        """One object's life: what takes a reference gives it back, or forgets it."""
        life = self.random.uniform(kind.low_s, kind.high_s)
        if not self.is_followed(born) and "link" not in kind.uses:
            return
        forgets = self.forgets if kind is LEAKY and self.random.random() < self.share else None
        steps: list[tuple[float, ChangeKind, int, str]] = []
        step = 1e-5
        for use in kind.uses:
            if use == "attach" and self.random.random() >= kind.sometimes:
                continue
            take, give = PLACES[use]
            begin, end = born + step, born + life + step
            step += 1e-5
            if use in ("find", "task"):
                end = begin + 5e-6
            if use == "link":
                steps.append((begin, ChangeKind.LINK, 0, take))
                self.links.append((begin, 1))
            steps.append((begin + 1e-6, ChangeKind.REFERENCE, 1, take))
            if use == "owner":
                self.owner(begin, end, forgets == "holder")
            if forgets == use or (use == "owner" and forgets == "holder"):
                continue
            if use == "link":
                steps.append((end, ChangeKind.UNLINK, 0, give))
                self.links.append((end, -1))
                give = "hash_ao2_node_destructor"
            steps.append((end + 1e-6, ChangeKind.REFERENCE, -1, give))
        if forgets != "birth":
            steps.append((born + life + 1e-3, ChangeKind.REFERENCE, -1, "let_go"))
        self.see(kind, born, steps)

    def is_followed(self, born: float) -> bool:
        return 0 <= born < self.duration_s - LOOK_S and born % PERIOD_S < BIRTHS_S

    def owner(self, begin: float, end: float, forgotten: bool) -> None:
        give = [] if forgotten else [(end + 1e-6, ChangeKind.REFERENCE, -1, "abandon")]
        self.see(OWNER, begin, give)

    def see(self, kind: Kind, born: float, steps: list[tuple[float, ChangeKind, int, str]]) -> None:
        """Write down what is seen of an object, if it is followed."""
        if not self.is_followed(born):
            return
        steps = sorted(steps)
        freed = 1 + sum(delta for _, _, delta, _ in steps) == 0
        died = steps[-1][0] if freed else self.duration_s
        is_alive = died >= self.duration_s
        seen = [one for one in steps if one[0] < self.duration_s]
        container = PHONES if kind is ENTRY and is_alive else INDEX
        history = tuple(self.history(born, seen, container))
        count = 1 + sum(delta for time, _, delta, _ in steps if time < self.duration_s)
        is_exact = died % PERIOD_S < WINDOW_S
        ended = self.duration_s if is_alive else died if is_exact else died + LOOK_S
        self.objects.append(
            FollowedObject(
                type=self.kinds.index(kind),
                address=0x10000 + 0x100 * len(self.objects),
                born_ns=round(born * SECOND),
                tid=100,
                stack=self.kinds.index(kind),
                fate=Fate.ALIVE if is_alive else Fate.FREED,
                ended_ns=round(ended * SECOND),
                is_end_exact=is_exact and not is_alive,
                references=count if is_alive else None,
                lost_changes=0,
                history=history,
            )
        )

    def history(
        self, born: float, steps: list[tuple[float, ChangeKind, int, str]], linked: int
    ) -> Iterator[Change]:
        window, missed, before = born // PERIOD_S, 0, 1
        for time, kind, delta, function in steps:
            if time % PERIOD_S >= WINDOW_S:
                missed += delta
                continue
            if time // PERIOD_S != window:
                yield self.gap(time // PERIOD_S * PERIOD_S, missed, before)
                before += missed
                window, missed = time // PERIOD_S, 0
            node = function == "hash_ao2_node_destructor"
            site = self.site(function, "astobj2_hash.c" if node else "references.c")
            stack = len(self.kinds) if function == "owner_destroy" else None
            container = linked if kind is not ChangeKind.REFERENCE else None
            tid = 101 if function == "run_task" else 100
            time_ns = round(time * SECOND)
            yield Change(time_ns, kind, delta, before, site, stack, tid, container)
            before += delta
        if missed and before + missed:
            yield self.gap(self.duration_s, missed, before)

    def gap(self, time: float, delta: int, before: int) -> Change:
        return Change(round(time * SECOND), ChangeKind.GAP, delta, before, None, None, 0)

    def elements(self, links: list[tuple[float, int]]) -> tuple[tuple[int, int], ...]:
        """Return the size of a container once a second."""
        sizes, at, size = [], 0, 0
        links.sort()
        for second in range(int(self.duration_s) + 1):
            while at < len(links) and links[at][0] <= second:
                size += links[at][1]
                at += 1
            sizes.append((second * SECOND, size))
        return tuple(sizes)


def record(world: World) -> LeaksRecording:
    """Let the world live and return what is seen of it."""
    world.run()
    functions = [f"{kind.name}_alloc" for kind in world.kinds]
    destructors = [f"{kind.name}_destroy" for kind in world.kinds]
    frames = tuple(
        Frame(0x1000 + at, None, None, None, name, "symtab")
        for at, name in enumerate((*functions, *destructors, "thing_compare"))
    )
    stacks = [Stack((at,), 0, None) for at in range(len(world.kinds))]
    stacks.append(Stack((frames_index(frames, "owner_destroy"),), 0, None))
    window = Window(0, round(world.duration_s * SECOND))
    windows = tuple(
        WatchWindow(round(at * PERIOD_S * SECOND), round((at * PERIOD_S + WINDOW_S) * SECOND), 0)
        for at in range(int(world.duration_s / PERIOD_S))
    )
    types = tuple(
        ObjectType(len(world.kinds) + at, world.site(name, "objects.c"), 64)
        for at, name in enumerate(functions)
    )
    born = len(world.objects)
    return LeaksRecording(
        schema=LEAKS_SCHEMA,
        tool_version="0",
        command=(),
        started_at="2026-01-01T00:00:00Z",
        target=examples.target(),
        window=window,
        stopped_by="duration",
        files=(),
        frames=frames,
        stacks=tuple(stacks),
        sites=tuple(world.sites),
        types=types,
        objects=tuple(sorted(world.objects, key=lambda one: one.born_ns)),
        births=tuple(BirthCount(at, born) for at in range(len(types))),
        links=(),
        containers=tuple(
            WatchedContainer(address, "hash", len(frames) - 1, None, world.elements(links))
            for address, links in ((INDEX, world.links), (PHONES, world.phones))
            if links
        ),
        windows=windows,
        free_windows=windows,
        birth_accounting=Accounting(born, born),
        change_accounting=Accounting(),
        probes=(),
        cost=Cost(0.01, 0, 0, 700, 5_000),
        warnings=(),
    )


def frames_index(frames: tuple[Frame, ...], name: str) -> int:
    return next(at for at, frame in enumerate(frames) if frame.symbol == name)
