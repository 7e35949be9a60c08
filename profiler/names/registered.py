"""Functions that the binary of Asterisk names, or gives a role, beside their address.

- Thread starts: `ast_pthread_create_stack` and `..._detached_stack` get the start routine and its
  name (include/asterisk/utils.h).
- Module entries: `struct ast_module_info`, which every module hands to `ast_module_register`, has
  the load function at 8 and the unload function at 24 (include/asterisk/module.h).
- Methods of ao2 containers: the tables that `__ao2_container_alloc_*` refer to (main/astobj2_hash.c
  and astobj2_rbtree.c), by the order of struct ao2_container_methods; and the traversal that calls
  them (ao2code.py).
- Callbacks of ao2 containers have no name in the binary, but a role: `cmp_fn@creator`, after the
  function that passes them to `__ao2_container_alloc_*`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from profiler.asterisk.ao2_code import Ao2Code, analyse
from profiler.binary.call_arguments import Call, calls
from profiler.binary.code_image import CodeImage
from profiler.binary.references import CodeReferences

THREADS = ("ast_pthread_create_stack", "ast_pthread_create_detached_stack")
THREAD_ROUTINE, THREAD_ROUTINE_NAME = 2, 8
REGISTER = "ast_module_register"
MODULE_ENTRIES = ((8, "load_module"), (24, "unload_module"))
# Positions of the callbacks, and of the creator's name, in Asterisk 14 and later.
CONTAINERS = {
    "__ao2_container_alloc_hash": ({"hash_fn": 3, "sort_fn": 4, "cmp_fn": 5}, 9),
    "__ao2_container_alloc_list": ({"sort_fn": 2, "cmp_fn": 3}, 7),
    "__ao2_container_alloc_rbtree": ({"sort_fn": 2, "cmp_fn": 3}, 7),
}
_PREFIXES = {"hash": "hash_ao2", "rbtree": "rb_ao2"}
# Offsets in the table of Asterisk 14 and later; 13 has one member more before the third.
_METHODS = (
    (0, "destroy"),
    (8, "alloc_empty_clone"),
    (16, "new_node"),
    (24, "insert_node"),
    (56, "iterator_next"),
)
MAX_REFERRING = 16  # functions that are searched for what they do with one address


class RegisteredNames:
    """Registered names of one file, without prefix; looks only at what it is asked for."""

    def __init__(self, image: CodeImage, references: CodeReferences) -> None:
        self._image = image
        self._references = references
        self._found: dict[int, tuple[Call, ...]] = {}

    def name(self, start: int) -> str | None:
        """Return the name of the function that starts there, else its role, else None."""
        if not self._references.taken(start):
            return "internal_ao2_traverse" if start in self._traversals else None
        found = [call for user in self._users(start) for call in self._calls(user)]
        return self._thread(found, start) or self._entries.get(start) or self._role(found, start)

    def _users(self, start: int) -> list[int]:
        """Return the functions whose code refers to `start`, at most MAX_REFERRING of them."""
        places = self._references.to(start)
        functions = (self._image.function(place) for place in places[:MAX_REFERRING])
        return sorted({function.start for function in functions if function is not None})

    def _calls(self, start: int) -> tuple[Call, ...]:
        """Return the calls of interest in the function that starts there."""
        if start not in self._found:
            function = self._image.function(start) if start in self._callers else None
            code = self._image.decode(function) if function is not None else None
            found = calls(code or (), self._references.callee, _positions, strict=True)
            self._found[start] = tuple(call for call in found if _positions(call.callee))
        return self._found[start]

    def _thread(self, found: list[Call], start: int) -> str | None:
        for call in found:
            if call.callee in THREADS and call.values.get(THREAD_ROUTINE) == start:
                name = self._references.identifier(call.values.get(THREAD_ROUTINE_NAME))
                if name is not None:
                    return name
        return None

    def _role(self, found: list[Call], start: int) -> str | None:
        """Return the role in a container; of several the first one in the alphabet."""
        roles = []
        for call in found:
            callbacks, creator_at = CONTAINERS.get(call.callee, ({}, -1))
            creator = self._references.identifier(call.values.get(creator_at))
            for role, position in callbacks.items():
                if creator is not None and call.values.get(position) == start:
                    roles.append(f"{role}@{creator}")
        return min(roles, default=None)

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
        for start in sorted(s for s, names in self._callers.items() if REGISTER in names):
            for call in self._calls(start):
                info = call.values.get(0) if call.callee == REGISTER else None
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
    def _callers(self) -> dict[int, set[str]]:
        """The functions that seem to call those whose arguments say something."""
        return self._references.callers((REGISTER, *THREADS, *CONTAINERS))

    @cached_property
    def _ao2(self) -> Ao2Code:
        return analyse(self._image)

    @cached_property
    def _traversals(self) -> frozenset[int]:
        return frozenset(traversal.start for traversal in self._ao2.traversals)


def _positions(callee: str) -> tuple[int, ...]:
    if callee in THREADS:
        return (THREAD_ROUTINE, THREAD_ROUTINE_NAME)
    if callee == REGISTER:
        return (0,)
    callbacks, creator = CONTAINERS.get(callee, ({}, -1))
    return (*callbacks.values(), creator) if callbacks else ()
