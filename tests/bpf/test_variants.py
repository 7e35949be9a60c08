"""No variant that the kernel has is lost.

The others give the same numbers, more slowly, so no other test would fail.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from profiler.linux.probe_link_kinds import ProbeLinkKind
from profiler.probes.attach import VARIANTS, Variant, variants_here
from tests.ways import way_name

pytestmark = pytest.mark.root

# The kernel's own functions, and since when its links are as we need them. Those of Linux 6.6 to
# 6.9 may see the first thread only.
LINKS = {
    ProbeLinkKind.MULTI: ({"bpf_uprobe_multi_link_attach"}, (6, 10)),
    ProbeLinkKind.SINGLE: (set[str](), (0, 0)),
}
TYPES = Path("/sys/kernel/btf/vmlinux")  # without them no program can call a kernel function


def functions() -> set[str]:
    """Return the names of all functions in the kernel."""
    return {line.split()[2] for line in Path("/proc/kallsyms").read_text().splitlines()}


@pytest.mark.parametrize("variant", VARIANTS, ids=way_name)
def test_a_variant_that_the_kernel_has_is_found(variant: Variant) -> None:
    needed, since = LINKS[variant.links]
    needed = needed | ({"bpf_iter_num_new"} if variant.iterator else set())
    release = tuple(int(part) for part in os.uname().release.split(".")[:2])
    if release >= since and needed <= functions() and (TYPES.exists() or not variant.iterator):
        assert variant in variants_here(), variant.why_not_here()
