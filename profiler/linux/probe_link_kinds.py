"""The kinds of links that hold probes, and which of them this kernel really has.

Loading proves nothing: kernels before 6.6 load programs of any attach type, and refuse the link.
So one link of each kind is opened, on a function of our own process, and closed at once.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Sequence
from enum import Enum
from functools import cache
from pathlib import Path
from threading import Thread

from profiler import disk_cache
from profiler.libc import LIBC
from profiler.linux import bpf, perf_events
from profiler.linux.bpf import UprobeSite
from profiler.linux.probe_links import MultiProbeLink, ProbeLink, SingleProbeLink

_SCARCE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
# Two instructions: r0 = 0; exit. include/uapi/linux/bpf.h, struct bpf_insn.
_RETURN_ZERO = struct.pack("<BBhiBBhi", 0xB7, 0, 0, 0, 0x95, 0, 0, 0)


class ProbeLinkKind(Enum):
    """How probes are attached; the best first.

    Session links (Linux 6.13), which trap a return only where the entry asks for it, are no way for
    us. Of each probe in a file that several processes run, the kernel asks all who attached there,
    whoever is hit. For another process than theirs it takes 0, which in a session means: trap the
    return. Then it overwrites the word at rsp, also inside a function: uprobe_multi_link_handler
    in kernel/trace/bpf_trace.c, handler_chain in kernel/events/uprobes.c, Linux 6.18.
    """

    MULTI = "multi"  # one link for entries, one for returns, Linux 6.6
    SINGLE = "single"  # a perf event for each site

    @property
    def attach_type(self) -> int:
        """Attach type that the programs, and those they call, are loaded for."""
        return {
            ProbeLinkKind.MULTI: bpf.ATTACH_UPROBE_MULTI,
            ProbeLinkKind.SINGLE: bpf.ATTACH_NONE,
        }[self]

    def probe_links(
        self, program: int, path: str, sites: Sequence[UprobeSite], pid: int, is_return: bool
    ) -> list[ProbeLink]:
        """Return what lets a program run at sites of a file: one link, or one for each site.

        `program`: its descriptor. Single links know no cookies.
        """
        if self is ProbeLinkKind.SINGLE:
            return [SingleProbeLink(program, path, s.file_offset, pid, is_return) for s in sites]
        return [MultiProbeLink(program, self.attach_type, path, tuple(sites), pid, is_return)]

    def link_idle(
        self, program: int, path: str, file_offset: int, with_return: bool, pid: int | None = None
    ) -> list[int]:
        """Attach a program that does nothing to a site of a process of ours, for a trial.

        Returns the descriptors of the links; raises OSError, and then none is left.
        """
        sites = [UprobeSite(file_offset, 0)]
        opened: list[int] = []
        try:
            for is_return in (True, False) if with_return else (False,):
                for link in self.probe_links(program, path, sites, pid or os.getpid(), is_return):
                    opened.append(link.open())
        except OSError:
            bpf.close_all(opened)
            raise
        return opened


def open_own_probe() -> int:
    """Open a probe without a program on our own process; return its descriptor. Raises OSError."""
    path, offset = _own_code()
    return perf_events.open_uprobe(path, offset, os.getpid(), False)


def load_empty_program(attach_type: int = bpf.ATTACH_NONE) -> int:
    """Load a program for probes that does nothing; return its descriptor. Raises OSError."""
    return bpf.load_program(_RETURN_ZERO, bpf.PROG_KPROBE, attach_type, "try")


@cache
def probe_link_errno(kind: ProbeLinkKind) -> int:
    """Return 0 where this kernel has that kind of link, else the number of its error.

    Raises OSError where we lack files or memory to try it: that says nothing of the kernel.
    """
    try:
        disk_cache.for_this_boot(f"links {kind.value}", lambda: _try_link(kind))
    except OSError as error:
        if error.errno in _SCARCE:
            raise
        return error.errno or errno.EIO
    return 0


def _try_link(kind: ProbeLinkKind) -> bool:
    path, offset = _own_code()
    program = load_empty_program(kind.attach_type)
    try:
        sites = (UprobeSite(offset, 0),)
        (link,) = kind.probe_links(program, path, sites, os.getpid(), is_return=False)
        descriptor = link.open()
        try:
            if not _runs_in_threads(program):
                raise OSError(errno.EOPNOTSUPP, "links see a process's first thread only")
            return True
        finally:
            os.close(descriptor)
    finally:
        os.close(program)


def _runs_in_threads(program: int) -> bool:
    """Return whether the program runs when a thread of ours meets the probe.

    Links of Linux 6.6 to 6.9 that are not mended run in the first thread only: commit 46ba0e49b642,
    "bpf: Fix multi-uprobe PID filtering logic". True where the kernel does not count runs.
    """
    try:
        statistics = bpf.enable_program_statistics()
    except OSError:
        return True
    try:
        caller = Thread(target=LIBC.getpgrp)
        try:
            caller.start()
        except RuntimeError as error:  # all that Python says of a thread that cannot be
            raise OSError(errno.ENOMEM, str(error)) from error
        caller.join()
        return bpf.read_program_statistics(program).run_count > 0
    finally:
        os.close(statistics)


def _own_code() -> tuple[str, int]:
    """Return file and offset of a function that is mapped into this process and rarely called."""
    function = ctypes.cast(LIBC.getpgrp, ctypes.c_void_p).value or 0
    for line in Path("/proc/self/maps").read_text().splitlines():
        fields = line.split(maxsplit=5)
        start, end = (int(bound, 16) for bound in fields[0].split("-"))
        if start <= function < end and len(fields) == 6:
            return fields[5], function - start + int(fields[2], 16)
    raise OSError(errno.ENOENT, "the C library is not mapped from a file")
