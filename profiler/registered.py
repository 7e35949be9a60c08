"""Functions that the binary of Asterisk names, or gives a role, beside their address.

- Thread starts: `ast_pthread_create_stack` and `..._detached_stack` get the start routine and its
  name (include/asterisk/utils.h).
- Module entries: `struct ast_module_info`, which every module hands to `ast_module_register`, has
  the load function at 8 and the unload function at 24 (include/asterisk/module.h).
- Methods of ao2 containers: the tables that `__ao2_container_alloc_*` refer to (main/astobj2_hash.c
  and astobj2_rbtree.c), by the order of struct ao2_container_methods.
- Callbacks of ao2 containers have no name in the binary, but a role: `cmp_fn@creator`, after the
  function that passes them to `__ao2_container_alloc_*`.
"""

from __future__ import annotations

from collections.abc import Iterator

from profiler.ao2code import VTable, analyse
from profiler.arguments import Call, calls
from profiler.code_image import CodeImage
from profiler.code_references import CodeReferences

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
_METHODS = {"hash": "hash_ao2", "rbtree": "rb_ao2"}


def registered_names(image: CodeImage, references: CodeReferences) -> dict[int, str]:
    """Return the names by the start of the function, without prefix; sure names win over roles."""
    names: dict[int, str] = {}
    found = list(_calls(image, references))
    for address, name in [
        *_roles(found, references),
        *_modules(found, image),
        *_threads(found, references),
        *_methods(image),
    ]:
        function = image.function(address)
        if function is not None and function.start == address:
            names[address] = name
    return names


def _calls(image: CodeImage, references: CodeReferences) -> Iterator[Call]:
    interesting = (*THREADS, REGISTER, *CONTAINERS)
    for start in references.callers(interesting):
        function = image.function(start)
        code = image.instructions(function) if function is not None else None
        if code:
            for call in calls(code, references.callee, _positions, strict=True):
                if call.callee in interesting:
                    yield call


def _positions(callee: str) -> tuple[int, ...]:
    if callee in THREADS:
        return (THREAD_ROUTINE, THREAD_ROUTINE_NAME)
    if callee == REGISTER:
        return (0,)
    callbacks, creator = CONTAINERS.get(callee, ({}, None))
    return (*callbacks.values(), creator) if creator is not None else ()


def _threads(found: list[Call], references: CodeReferences) -> Iterator[tuple[int, str]]:
    for call in found:
        routine = call.values.get(THREAD_ROUTINE) if call.callee in THREADS else None
        name = references.identifier(call.values.get(THREAD_ROUTINE_NAME))
        if routine is not None and name is not None:
            yield routine, name


def _modules(found: list[Call], image: CodeImage) -> Iterator[tuple[int, str]]:
    for call in found:
        info = call.values.get(0) if call.callee == REGISTER else None
        for offset, name in MODULE_ENTRIES if info is not None else ():
            entry = image.pointer_at(info + offset) if info is not None else None
            if entry:
                yield entry, name


def _methods(image: CodeImage) -> Iterator[tuple[int, str]]:
    for table in analyse(image).vtables:
        yield from method_names(table)


def method_names(table: VTable) -> Iterator[tuple[int, str]]:
    """Yield (address, name) of the traversal methods of a container's table."""
    prefix = _METHODS.get(table.kind)
    if prefix is not None:
        yield table.traverse_first, f"{prefix}_find_first"
        yield table.traverse_next, f"{prefix}_find_next"


def _roles(found: list[Call], references: CodeReferences) -> Iterator[tuple[int, str]]:
    """Yield the callbacks of containers; the creator with the first name in the alphabet wins."""
    roles = []
    for call in found:
        callbacks, creator_at = CONTAINERS.get(call.callee, ({}, -1))
        creator = references.identifier(call.values.get(creator_at))
        for role, position in callbacks.items():
            callback = call.values.get(position)
            if callback and creator is not None:
                roles.append((callback, f"{role}@{creator}"))
    yield from sorted(roles, key=lambda pair: pair[1], reverse=True)
