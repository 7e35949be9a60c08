"""The analysed places of the packaged Asterisk, counted live beside the ground-truth module."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.instance import Instance
from profiler.asterisk.ao2_code import Ao2Code, analyse
from profiler.binary.code_image import CodeImage
from profiler.binary.probe_sites import Site, choose_site
from profiler.linux.bcc import bpf_directory
from profiler.linux.bpf import (
    ATTACH_UPROBE_MULTI,
    PROG_KPROBE,
    UprobeSite,
    link_uprobes,
    load_program,
)
from tests.compiled import image_of

pytestmark = [pytest.mark.live, pytest.mark.root]

LOOKUPS = 997
TABLES = ("entered", "first", "unlocked", "released", "exhausted")

# What rdi points to, or what the node in rdi belongs to (struct ao2_container_node), by place.
PROGRAMS = """
#include <uapi/linux/ptrace.h>
BPF_HASH(entered, u64, u64);
BPF_HASH(first, u64, u64);
BPF_HASH(unlocked, u64, u64);
BPF_HASH(released, u64, u64);
BPF_HASH(traversing, u32, u64);
BPF_HASH(exhausted, u64, u64);
int on_entry(struct pt_regs *ctx) { entered.increment(ctx->di); return 0; }
int on_first(struct pt_regs *ctx)
{
    u32 thread = bpf_get_current_pid_tgid();
    u64 container = ctx->di;
    traversing.update(&thread, &container);
    first.increment(ctx->di);
    return 0;
}
int on_unlock(struct pt_regs *ctx) { unlocked.increment(ctx->di); return 0; }
int on_release(struct pt_regs *ctx)
{
    u64 owner = 0;
    bpf_probe_read_user(&owner, sizeof(owner), (void *)(ctx->di + 8));
    released.increment(owner);
    return 0;
}
int on_exhausted(struct pt_regs *ctx)
{
    u32 thread = bpf_get_current_pid_tgid();
    u64 *container = traversing.lookup(&thread); /* the latest of this thread */
    if (container)
        exhausted.increment(*container);
    return 0;
}
"""


@dataclass(frozen=True)
class Target:
    """A running Asterisk and what is known of its executable."""

    instance: Instance
    pid: int
    path: Path
    image: CodeImage
    found: Ao2Code


@pytest.fixture(scope="module")
def target(asterisk: Instance) -> Target:
    pid = asterisk.pid
    path = Path(f"/proc/{pid}/exe")
    image = image_of(path)
    return Target(asterisk, pid, path, image, analyse(image))


class Counters:
    """Programs that count by container at places of a target while they are attached."""

    def __init__(self) -> None:
        os.environ["BCC_KERNEL_SOURCE"] = str(bpf_directory() / "shim")
        import bcc

        self._stack = ExitStack()
        self._module = bcc.BPF(text=PROGRAMS.encode(), cflags=["-w"])
        self._stack.callback(self._module.cleanup)
        self._programs: dict[str, int] = {}
        for function in ("on_entry", "on_first", "on_unlock", "on_release", "on_exhausted"):
            code = self._module.dump_func(function.encode())
            program = load_program(code, PROG_KPROBE, ATTACH_UPROBE_MULTI, function)
            self._stack.callback(os.close, program)
            self._programs[function] = program

    @contextmanager
    def attached(self, target: Target, entry: str) -> Iterator[None]:
        """Count from zero for the length of the block."""
        for name in TABLES:
            self._module[name.encode()].clear()
        found, image = target.found, target.image
        heads = [choose_site(image, table.traverse_first, "first") for table in found.vtables]
        places = {
            "on_entry": [choose_site(image, dict(found.entries)[entry], entry)],
            "on_first": heads,
            "on_unlock": [s for t in found.traversals for s in t.unlock_sites],
            "on_release": [s for t in found.traversals for s in t.release_sites],
            "on_exhausted": [s for t in found.traversals for s in t.exhausted_sites],
        }
        with ExitStack() as links:
            for function, sites in places.items():
                links.callback(os.close, self._link(target, function, sites))
            yield

    def _link(self, target: Target, function: str, sites: list[Site]) -> int:
        places = [UprobeSite(site.file_offset, 0) for site in sites]
        program = self._programs[function]
        return link_uprobes(
            program, ATTACH_UPROBE_MULTI, str(target.path), places, target.pid, False
        )

    def __enter__(self) -> Counters:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def of(self, container: int) -> dict[str, int]:
        result = {}
        for name in TABLES:
            table = self._module[name.encode()]
            result[name] = sum(v.value for k, v in table.items() if k.value == container)
        return result


@pytest.fixture(scope="module")
def counters() -> Iterator[Counters]:
    with Counters() as made:
        yield made


def counted(
    counters: Counters, target: Target, box: dict[str, Any], search: str
) -> tuple[dict[str, int], Any]:
    container = int(box["address"], 16)
    entry = {
        "callback": "__ao2_callback",
        "callback-data": "__ao2_callback_data",
        "unlink-address": "__ao2_unlink",
        "weak": "__ao2_weakproxy_find",
    }
    name = search.removesuffix("-miss")
    if name.startswith("callback-") and name != "callback-data":
        name = "callback"
    with counters.attached(target, entry.get(name, "__ao2_find")):
        run = target.instance.groundtruth(f"run {box['container']} {search} count={LOOKUPS}")
        return counters.of(container), run


KINDS = {"hash": "hash 7 200", "list": "list 1 50", "rbtree": "rbtree 1 200 sorted=yes"}


@pytest.fixture(params=sorted(KINDS))
def box(request: pytest.FixtureRequest, target: Target) -> Iterator[dict[str, Any]]:
    yield target.instance.groundtruth(f"make {request.param} {KINDS[request.param]}")
    target.instance.groundtruth(f"free {request.param}")


@pytest.mark.parametrize(
    ("search", "unlocks", "releases"),
    [
        ("hit", LOOKUPS, LOOKUPS),
        ("miss", LOOKUPS, 0),
        ("scan", LOOKUPS, LOOKUPS),
        ("scan-miss", LOOKUPS, 0),
        ("multiple", LOOKUPS, 0),
        ("locked", 0, LOOKUPS),
        ("locked-miss", 0, 0),
        ("callback-all", LOOKUPS, 0),
        ("callback-key", LOOKUPS, LOOKUPS),
        ("callback-stop", LOOKUPS, LOOKUPS),
        ("callback-data", LOOKUPS, LOOKUPS),
        ("callback-data-miss", LOOKUPS, 0),
    ],
)
def test_places_fire_as_the_source_says(
    counters: Counters,
    target: Target,
    box: dict[str, Any],
    search: str,
    unlocks: int,
    releases: int,
) -> None:
    counts, run = counted(counters, target, box, search)
    assert run["lookups"] == LOOKUPS
    assert counts == {
        "entered": LOOKUPS,
        "first": LOOKUPS,
        "unlocked": unlocks,
        "released": releases,
        "exhausted": LOOKUPS - releases,
    }


@pytest.mark.parametrize(("search", "releases"), [("weak", LOOKUPS), ("weak-miss", 0)])
def test_lookups_through_proxies(
    counters: Counters, target: Target, search: str, releases: int
) -> None:
    box = target.instance.groundtruth("make proxies hash 7 100 weak=yes")
    counts, run = counted(counters, target, box, search)
    assert run["lookups"] == LOOKUPS
    # It locks and unlocks the container itself, around a find that does not.
    assert counts == {
        "entered": LOOKUPS,
        "first": LOOKUPS,
        "unlocked": 0,
        "released": releases,
        "exhausted": LOOKUPS - releases,
    }
    target.instance.groundtruth("free proxies")


def read_pointer(pid: int, address: int) -> int:
    """Read eight bytes of the target's memory without stopping it."""
    buffer = ctypes.create_string_buffer(8)
    local = struct.pack("<QQ", ctypes.addressof(buffer), 8)
    remote = struct.pack("<QQ", address, 8)
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.process_vm_readv(pid, local, 1, remote, 1, 0) == 8
    return int.from_bytes(buffer.raw, "little")


def test_the_tables_are_those_of_live_containers(target: Target, box: dict[str, Any]) -> None:
    maps = Path(f"/proc/{target.pid}/maps").read_text().splitlines()
    base = min(int(line.split("-")[0], 16) for line in maps if line.endswith("/asterisk"))
    table = read_pointer(target.pid, int(box["address"], 16)) - base
    kind = "rbtree" if box["kind"] == "rbtree" else "hash"
    assert [(v.kind, v.address) for v in target.found.vtables if v.address == table] == [
        (kind, table)
    ]


PLACES = {
    "16": {"6d410": (["6d800"], ["6d91d"], ["6d93b"])},
    "22": {
        "76ba0": (["77267"], ["76fd5"], ["76d88", "772d8"]),
        "77530": (["77a20"], ["77a4d"], ["778b1", "77bcd"]),
    },
}


def test_places_of_the_packaged_builds(target: Target) -> None:
    """As read in the disassembly of 16.28.0~dfsg-0+deb11u4 and 22.10.1+dfsg."""
    build_ids = {"16": "6f340f41610c", "22": "4988a4fcb794"}
    version = target.instance.options.version
    assert target.found.traversals
    if not (target.image.elf.build_id or "").startswith(build_ids[version]):
        return  # another revision of the package: the counts above say whether it is understood
    found = {
        f"{t.start:x}": (
            [f"{site.vaddr:x}" for site in t.release_sites],
            [f"{site.vaddr:x}" for site in t.unlock_sites],
            [f"{site.vaddr:x}" for site in t.exhausted_sites],
        )
        for t in target.found.traversals
    }
    assert found == PLACES[version]
