"""Names for functions of the GNU C library that it does not export.

Read in its 2.31, 2.36 and 2.43:

- Variants: an indirect function (STT_GNU_IFUNC) is a resolver, which returns one of the functions
  that it loads the addresses of: those are variants of the exported function, made for one CPU
  or another, and are named after it.
- The start of threads (nptl/pthread_create.c): `pthread_create`, or `create_thread` that it calls,
  loads the address of `start_thread`, which alone calls `__ctype_init`; and `create_thread`
  reaches the system call by `__clone_internal` and `__clone3_internal`. The first instructions of a
  thread that clone3 made (clone3.S) call the routine and end the thread with what it returns.
- System calls that can be cancelled (nptl/cancellation.c, since 2.41): `poll` calls
  `__syscall_cancel`, that `__internal_syscall_cancel`, and that `__syscall_cancel_arch`, which
  begins by a look at the word that its first argument points to, and asks the kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from profiler.binary.code_image import CodeImage, Function
from profiler.binary.instructions import RDI, Flow
from profiler.binary.references import CodeReferences

# mov %r8,%rdi; call *%rdx; mov %rax,%rdi; mov $SYS_exit,%eax; syscall
_CLONE3_CHILD = bytes.fromhex("4c89c7 ffd2 4889c7 b83c000000 0f05")
_CLONES = ("clone", "__clone")


class CLibraryNames:
    """Names of local functions of one file, without prefix; none where a shape does not fit."""

    def __init__(self, image: CodeImage, references: CodeReferences) -> None:
        self._image = image
        self._references = references

    def name(self, start: int) -> str | None:
        """Return the name of the function that starts there."""
        return self._names.get(start)

    @cached_property
    def _names(self) -> dict[int, str]:
        shaped = (*self._threads(), *self._clone3_children(), *self._cancellable())
        return {**self._variants(), **dict(shaped)}

    def _variants(self) -> dict[int, str]:
        """Return the variants of indirect functions; one that several share has the best name."""
        found: dict[int, set[str]] = {}
        for resolver, name in self._references.resolvers():
            function = self._image.function(resolver)
            for target in self._references.loads(function) if function is not None else ():
                if target != resolver and self._local(target) is not None:
                    found.setdefault(target, set()).add(name)
        return {start: min(names, key=_plainness) for start, names in found.items()}

    def _threads(self) -> Iterator[tuple[int, str]]:
        create = self._exported("pthread_create")
        for function in () if create is None else (create, *self._callees(create)):
            start = next(filter(self._starts_threads, self._references.loads(function)), None)
            if start is None:
                continue
            yield start, "start_thread"
            if function is not create:
                yield function.start, "create_thread"
            yield from self._clones(function)
            return

    def _starts_threads(self, start: int) -> bool:
        function = self._local(start)
        return function is not None and "__ctype_init" in self._called_names(function)

    def _clones(self, creator: Function) -> Iterator[tuple[int, str]]:
        for function in self._callees(creator):
            if self._called_names(function).intersection(_CLONES):
                yield function.start, "__clone_internal"
                inner = list(self._callees(function))
                if len(inner) == 1:
                    yield inner[0].start, "__clone3_internal"
                return

    def _clone3_children(self) -> Iterator[tuple[int, str]]:
        if self._exported("clone") is not None:
            for place in self._references.find(_CLONE3_CHILD):
                function = self._image.function(place)
                if function is not None:
                    yield function.start, "__clone3"

    def _cancellable(self) -> Iterator[tuple[int, str]]:
        names = ("__syscall_cancel", "__internal_syscall_cancel", "__syscall_cancel_arch")
        chain: list[Function] = []
        caller = self._exported("poll")
        while caller is not None and len(chain) < len(names):
            caller = next(self._callees(caller), None)
            chain += [] if caller is None else [caller]
        if len(chain) == len(names) and self._is_cancel_arch(chain[-1]):
            yield from zip((function.start for function in chain), names, strict=True)

    def _is_cancel_arch(self, function: Function) -> bool:
        code = self._image.decode(function) or ()
        first = code[0].memory if code else None
        looks = first is not None and first.base == RDI and first.displacement == 0
        return looks and any(instruction.flow is Flow.SYSTEM for instruction in code)

    def _exported(self, name: str) -> Function | None:
        address = self._image.exported(name)
        return None if address is None else self._image.function(address)

    def _local(self, start: int) -> Function | None:
        """Return the function that starts there, None when there is none or it is exported."""
        function = self._image.function(start)
        if function is None or function.start != start:
            return None
        return None if self._references.function_name(start) else function

    def _targets(self, function: Function) -> Iterator[int]:
        """Yield where direct calls, and jumps that leave the function, go; each once."""
        seen: set[int] = set()
        for instruction in self._image.decode(function) or ():
            target = instruction.target
            if target is None or instruction.flow not in (Flow.CALL, Flow.JUMP):
                continue
            if not function.start <= target < function.end and target not in seen:
                seen.add(target)
                yield target

    def _callees(self, function: Function) -> Iterator[Function]:
        """Yield the functions without exported name that it calls, in the order of the code."""
        found = map(self._local, self._targets(function))
        return (callee for callee in found if callee is not None)

    def _called_names(self, function: Function) -> set[str]:
        names = map(self._references.function_name, self._targets(function))
        return {name for name in names if name is not None}


def _plainness(name: str) -> tuple[int, int, str]:
    """Order of aliases, best first: fewest underscores in front, long (memcmp before bcmp)."""
    return len(name) - len(name.lstrip("_")), -len(name), name
