"""Puts compiled programs and their maps into the kernel, and takes them out again."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from types import TracebackType

from profiler.errors import KernelError
from profiler.linux import bpf
from profiler.linux.bpf import ProgramStatistics
from profiler.linux.btf import function_ids
from profiler.linux.compiled import KERNEL_FUNCTIONS, CompiledPrograms, with_places_filled
from profiler.linux.maps import BpfMap
from profiler.linux.ring_buffer import RingBuffer

ITERATOR_FUNCTIONS = frozenset(KERNEL_FUNCTIONS.values())  # Linux 6.4


class Program:
    """A loaded BPF program."""

    def __init__(self, name: str, descriptor: int) -> None:
        self.name = name
        self.descriptor = descriptor

    def statistics(self) -> ProgramStatistics:
        """Read the kernel's statistics (zero unless they are enabled)."""
        return bpf.read_program_statistics(self.descriptor)

    def close(self) -> None:
        """Give up the descriptor; the kernel frees the program when nothing else holds it."""
        os.close(self.descriptor)


class BpfModule:
    """Compiled programs for one target; closing it removes all that is in the kernel of them.

    A map is made when a program or a caller needs it, with as many entries as `sizes` says, or as
    its source does. What another module, `base`, has a map of by the same name shares that map.
    """

    def __init__(
        self,
        compiled: CompiledPrograms,
        numbers: Mapping[str, int],
        sizes: Mapping[str, int],
        base: BpfModule | None = None,
    ) -> None:
        self._compiled = compiled
        self._numbers = numbers
        self._sizes = sizes
        self._base = base
        self._names = tuple(compiled.maps)
        self._programs: list[Program] = []
        self._rings: list[RingBuffer] = []
        self._maps: dict[str, BpfMap] = {}

    def load(
        self, function: str, program_type: int, attach_type: int = 0, attached_id: int = 0
    ) -> Program:
        """Load one function as a program; raises VerifierError, OSError or KernelError."""
        code = with_places_filled(
            self._compiled.programs[function],
            lambda number: self.map(self._names[number]).descriptor,
            self._numbers,
            _function_id,
        )
        descriptor = bpf.load_program(code, program_type, attach_type, function, attached_id)
        program = Program(function, descriptor)
        self._programs.append(program)
        return program

    def map(self, name: str) -> BpfMap:
        """Return a map by its name in the sources; raises OSError."""
        if name in self._maps:
            return self._maps[name]
        shape = self._compiled.maps.get(name)
        shared = self._base._compiled.maps.get(name) if self._base is not None else None
        if self._base is not None and shared is not None:
            if shape not in (None, shared):
                raise ValueError(f"{name} is another map in the programs that these extend")
            return self._base.map(name)
        if shape is None:
            raise KeyError(name)
        sized = replace(shape, max_entries=self._sizes.get(name, shape.max_entries))
        self._maps[name] = BpfMap(name, sized)
        return self._maps[name]

    def extended(self, compiled: CompiledPrograms) -> BpfModule:
        """Return a module of other programs for the same target, which shares these maps."""
        return BpfModule(compiled, self._numbers, self._sizes, self)

    def ring_buffer(self, name: str) -> RingBuffer:
        """Open a ring buffer by its name in the sources; raises OSError."""
        ring = RingBuffer(self.map(name))
        self._rings.append(ring)
        return ring

    def set_tail_call(self, name: str, index: int, program: Program) -> None:
        """Let slot `index` of a program array lead to `program`."""
        self.map(name).set(struct.pack("<I", index), struct.pack("<I", program.descriptor))

    def programs(self) -> tuple[Program, ...]:
        """Return the loaded programs."""
        return tuple(self._programs)

    def close(self) -> None:
        """Close rings, programs and maps. Links and events must be closed before."""
        for ring in self._rings:
            ring.close()
        for program in self._programs:
            with suppress(OSError):
                program.close()
        for opened in self._maps.values():
            opened.close()
        self._rings, self._programs, self._maps = [], [], {}

    def __enter__(self) -> BpfModule:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def kernel_functions() -> dict[str, int]:
    """Return the ids of those kernel functions that our programs may call and this kernel has."""
    # Always all names, so that the kernel's types are searched once.
    return function_ids(frozenset(KERNEL_FUNCTIONS.values()))


def _function_id(name: str) -> int:
    found = kernel_functions().get(name)
    if found is None:
        raise KernelError(f"this kernel has no {name}", "ebpf-prof doctor")
    return found
