"""Targets that have mapped one file, whole or damaged."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from profiler.binary.elf import Elf
from profiler.names.session import NamingSession
from profiler.process.mappings import CodeFile, LoadedCode, Mapping

LOADED_AT = 0x7F0000000000


def loaded_code(elf: Elf, seen_as: str) -> LoadedCode:
    """Return a file that is mapped, whole, at LOADED_AT."""
    mapping = Mapping(LOADED_AT, LOADED_AT + elf.size, 0, "00:01", 1, seen_as, False)
    return LoadedCode(mapping, CodeFile(seen_as, elf, elf.build_id, None), LOADED_AT, None)


def with_damaged_call_frames(path: Path) -> Elf:
    """Return a file whose first entry of .eh_frame reaches beyond the section."""
    contents = bytearray(path.read_bytes())
    section = Elf.from_bytes(bytes(contents)).section(".eh_frame")
    assert section is not None
    contents[section.offset : section.offset + 4] = b"\xf0\xff\xff\xff"
    return Elf.from_bytes(bytes(contents))


def session_of(elf: Elf, seen_as: str) -> NamingSession:
    """Return a session for a target that has mapped this file alone."""
    code = loaded_code(elf, seen_as)
    found = {True: code, False: None}
    target: Any = SimpleNamespace(
        pid=os.getpid(),
        code=SimpleNamespace(current=(code,), at=lambda address: found[address >= LOADED_AT]),
    )
    session = NamingSession(target, None)
    session.pin()
    return session
