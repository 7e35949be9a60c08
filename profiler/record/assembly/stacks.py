"""Frames and stacks of a recording, each once, with their indexes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from profiler.model import recording as rec
from profiler.model.observed import UnwindStack
from profiler.process.mappings import TRAMPOLINES
from profiler.wire.unwind import CAUSES, ROOT_FRAMES, WHOLE

_IN_PROBE = "inside a probe"
# The kernel's part of a return probe (arch/x86/kernel/uprobes.c, SYSCALL_DEFINE0(uretprobe), Linux
# 6.11). Before it leaves, it lowers sp by what its trampoline pushed, then it sets ip back. Between
# these, ip is where the function returned to, and no register shows that sp does not belong to it.
_RETURN_PROBE_CALLS = frozenset(("__do_sys_uretprobe", "__x64_sys_uretprobe"))
StackKey = int | tuple[int, ...]  # its name; with it what is put before it, if anything


class StackIndex:
    """Indexes of frames and stacks, made as they are needed."""

    def __init__(
        self,
        stacks: Mapping[int, UnwindStack],
        path: Callable[[int], str | None],
        kernel_function: Callable[[int], str | None],
        kernel: bool,
        user: bool,
    ) -> None:
        self._known = stacks
        self._path = path
        self._kernel_function = kernel_function
        self._kernel = kernel
        self._user = user
        self.addresses: dict[int, int] = {}
        self.stacks: list[rec.Stack] = []
        self.ended_in: set[str] = set()  # paths of the code in which stacks were truncated
        self.behind_probes: frozenset[int] = frozenset()
        self._indexes: dict[StackKey, int] = {}
        self._walked: dict[rec.Stack, int] = {}

    def frame(self, address: int) -> int:
        """Return the index of the frame at an address."""
        return self.addresses.setdefault(address, len(self.addresses))

    def stack(self, name: int, before: tuple[int, ...] = (), is_leaf: bool = True) -> int | None:
        """Return the index of a stack, None when the kernel did not keep it.

        `before` are addresses that come before its leaf. `is_leaf`: its first address is where
        execution was, else a return address.
        """
        identity = (name, *before) if before else name
        if identity not in self._indexes:
            known = self._known.get(name)
            if known is None:
                return None
            self._indexes[identity] = len(self.stacks)
            self.stacks.append(self._make(known, before, is_leaf))
        return self._indexes[identity]

    def walked(self, addresses: tuple[int, ...], cause: str | None) -> int | None:
        """Return the index of a stack that was read from outside; addresses inside the calls."""
        if not self._user:
            return None
        made = rec.Stack(tuple(map(self.frame, addresses)), 0, cause)
        if made not in self._walked:
            self._walked[made] = len(self.stacks)
            self.stacks.append(made)
        return self._walked[made]

    def _make(self, known: UnwindStack, before: tuple[int, ...], is_leaf: bool) -> rec.Stack:
        kernel = [self.frame(a) for a in _inside_calls(known.kernel, True)] if self._kernel else []
        # A sample in the kernel interrupted a system call: its user leaf is where that returns to,
        # which is behind the instruction, inside the same function.
        in_return_probe = self._is_truncated_in_return_probe(known)
        seen = known.frames[:1] if in_return_probe else known.frames
        user = _inside_calls(seen, is_leaf) if self._user else ()
        frames = [*kernel, *(self.frame(a) for a in (*before, *user))]
        cause = _IN_PROBE if in_return_probe else self._cause(known)
        if not known.left_out or len(user) < len(known.frames):
            return rec.Stack(tuple(frames), len(kernel), cause)
        return rec.Stack(
            tuple(frames), len(kernel), cause, known.left_out, len(frames) - ROOT_FRAMES
        )

    def _is_truncated_in_return_probe(self, known: UnwindStack) -> bool:
        """Return whether what seems to be the leaf's callers is something else."""
        if known.cause == WHOLE or not known.kernel:
            return False
        return self._kernel_function(known.kernel[0]) in _RETURN_PROBE_CALLS

    def _cause(self, known: UnwindStack) -> str | None:
        """Return why a stack was truncated, None for a whole one."""
        if known.cause == WHOLE:
            return None
        path = self._path(known.frames[-1]) if known.frames else None
        if path == TRAMPOLINES:  # the sample met the kernel at one of our probes
            return _IN_PROBE
        # While the kernel emulates a probed jump, ip stands behind it for a moment, where code of
        # another function may lie, or none.
        if known.kernel and len(known.frames) == 1 and known.frames[0] in self.behind_probes:
            return _IN_PROBE
        if path is not None:
            self.ended_in.add(path)
        return CAUSES[min(known.cause, len(CAUSES) - 1)]


def _inside_calls(addresses: Iterable[int], is_leaf: bool) -> list[int]:
    """Return addresses inside the calls: a return address may belong to the next function."""
    return [address - (index > 0 or not is_leaf) for index, address in enumerate(addresses)]
