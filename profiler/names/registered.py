"""Functions that the binary of Asterisk names beside their address.

- Thread starts: `ast_pthread_create_stack` and `..._detached_stack` get the start routine and its
  name (include/asterisk/utils.h).
- `_start` and main: the code at the executable's entry point, and what it hands to
  `__libc_start_main` (glibc's and musl's crt1 pass it as the first argument).
- Module entries: `struct ast_module_info`, which every module hands to `ast_module_register`, has
  the load function at 8 and the unload function at 24 (include/asterisk/module.h).
- Methods of ao2 containers: the tables that `__ao2_container_alloc_*` refer to (main/astobj2_hash.c
  and astobj2_rbtree.c), by the order of struct ao2_container_methods; and the traversal that calls
  them (ao2code.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from profiler.asterisk.ao2_code import Ao2Code, analyse
from profiler.binary.code_image import CodeImage
from profiler.binary.references import CodeReferences
from profiler.names.known_calls import KnownCalls

THREADS = ("ast_pthread_create_stack", "ast_pthread_create_detached_stack")
THREAD_ROUTINE, THREAD_ROUTINE_NAME = 2, 8
START_MAIN = "__libc_start_main"
REGISTER = "ast_module_register"
MODULE_ENTRIES = ((8, "load_module"), (24, "unload_module"))
_PREFIXES = {"hash": "hash_ao2", "rbtree": "rb_ao2"}
# Offsets in the table of Asterisk 14 and later; 13 has one member more before the third.
_METHODS = (
    (0, "destroy"),
    (8, "alloc_empty_clone"),
    (16, "new_node"),
    (24, "insert_node"),
    (56, "iterator_next"),
)
_WANTED = {
    START_MAIN: (0,),
    REGISTER: (0,),
    **dict.fromkeys(THREADS, (THREAD_ROUTINE, THREAD_ROUTINE_NAME)),
}


class RegisteredNames:
    """Registered names of one file, without prefix; looks only at what it is asked for."""

    def __init__(self, image: CodeImage, references: CodeReferences) -> None:
        self._image = image
        self._references = references
        self._calls = KnownCalls(image, references, _WANTED)

    def name(self, start: int) -> str | None:
        """Return the name of the function that starts there, else None."""
        if start in self._beginnings:
            return self._beginnings[start]
        if not self._references.taken(start):
            return "internal_ao2_traverse" if start in self._traversals else None
        return self._thread(start) or self._entries.get(start)

    def _thread(self, start: int) -> str | None:
        for _, call in self._calls.near(start):
            if call.callee in THREADS and call.values.get(THREAD_ROUTINE) == start:
                name = self._references.identifier(call.values.get(THREAD_ROUTINE_NAME))
                if name is not None:
                    return name
        return None

    @cached_property
    def _beginnings(self) -> dict[int, str]:
        entry = self._image.elf.entry
        for call in self._calls.of(START_MAIN):
            function = self._image.function(call.address)
            if function is not None and function.start == entry and 0 in call.values:
                return {entry: "_start", call.values[0]: "main"}
        return {}

    @cached_property
    def _entries(self) -> dict[int, str]:
        """Names of the functions that a table of the file's data points to, by their start.

        A function with two places in tables, such as one that the linker merged, has none.
        """
        found: dict[int, set[str]] = {}
        for start, name in [*self._modules(), *self._methods()]:
            found.setdefault(start, set()).add(name)
        return {start: names.pop() for start, names in found.items() if len(names) == 1}

    def _modules(self) -> Iterator[tuple[int, str]]:
        for call in self._calls.of(REGISTER):
            info = call.values.get(0)
            for offset, name in MODULE_ENTRIES:
                entry = self._image.pointer_at(info + offset) if info is not None else None
                if entry:
                    yield entry, name

    def _methods(self) -> Iterator[tuple[int, str]]:
        for table in self._ao2.vtables:
            prefix = _PREFIXES[table.kind]
            methods = _METHODS if self._ao2.family.call_site_arguments else ()
            for offset, name in methods:
                method = self._image.pointer_at(table.address + offset)
                if method:
                    yield method, f"{prefix}_{name}"
            yield table.traverse_first, f"{prefix}_find_first"
            yield table.traverse_next, f"{prefix}_find_next"

    @cached_property
    def _ao2(self) -> Ao2Code:
        return analyse(self._image)

    @cached_property
    def _traversals(self) -> frozenset[int]:
        return frozenset(traversal.start for traversal in self._ao2.traversals)
