"""Roles of functions without a name: what the code that hands them over calls them.

`cmp_fn@ast_tps_init` is what `ast_tps_init` passed as `cmp_fn`, `devicestate@SIP` the member
`devicestate` of the table that is called "SIP". Behind the @ is, in this order: a name that is
passed or stored beside the function, the exported function that hands it over, or to which.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property

from profiler.asterisk.registrations import CALLBACKS, TABLES
from profiler.binary.code_image import CodeImage
from profiler.binary.references import CodeReferences, string_text
from profiler.names.known_calls import KnownCalls

MAX_SLOTS = 16  # places in data that are searched for the table that one function stands in
_OWNER = re.compile(r"[A-Za-z_][\w./-]{0,119}")
_WANTED = {
    **{name: callbacks.positions for name, callbacks in CALLBACKS.items()},
    **{name: (table.argument,) for name, table in TABLES.items()},
}


class Roles:
    """Roles in one file; looks only at what it is asked for."""

    def __init__(self, image: CodeImage, references: CodeReferences) -> None:
        self._image = image
        self._references = references
        self._calls = KnownCalls(image, references, _WANTED)
        self._tables = {name: table for name, table in TABLES.items() if references.uses(name)}

    def role(self, start: int) -> str | None:
        """Return the role of the function that starts there; of several the alphabet's first."""
        return min((*self._passed(start), *self._members(start)), default=None)

    def _passed(self, start: int) -> Iterator[str]:
        for user, call in self._calls.near(start):
            known = CALLBACKS.get(call.callee)
            for role, position in known.roles.items() if known is not None else ():
                if known is not None and call.values.get(position) == start:
                    text = None if known.owner is None else call.values.get(known.owner)
                    yield f"{role}@{self._owner(text, user, call.callee)}"

    def _members(self, start: int) -> Iterator[str]:
        for slot in self._slots.get(start, ())[:MAX_SLOTS] if self._tables else ():
            for callee, table in self._tables.items():
                for offset, role in table.members.items():
                    for user in self._registering(slot - offset, callee):
                        yield f"{role}@{self._table_owner(slot - offset, user, callee)}"

    def _registering(self, table: int, callee: str) -> Iterator[int]:
        """Yield the functions that pass the table to `callee`."""
        for user, call in self._calls.near(table):
            if call.callee == callee and call.values.get(TABLES[callee].argument) == table:
                yield user

    def _table_owner(self, table: int, user: int, callee: str) -> str:
        offset = TABLES[callee].name_offset
        text = None if offset is None else self._image.pointer_at(table + offset)
        return self._owner(text, user, callee)

    def _owner(self, text: int | None, user: int, callee: str) -> str:
        stored = None if text is None else string_text(self._image.elf, text)
        if stored is not None and _OWNER.fullmatch(stored):
            return stored
        return self._references.function_name(user) or callee

    @cached_property
    def _slots(self) -> dict[int, list[int]]:
        """Where the file's data holds addresses, by the address."""
        found: dict[int, list[int]] = {}
        for slot, address in self._image.imports.pointers.items():
            found.setdefault(address, []).append(slot)
        return found
