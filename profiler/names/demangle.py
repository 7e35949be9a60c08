"""Readable names for C++ symbols, by the C++ runtime's own demangler when it is installed."""

from __future__ import annotations

import ctypes
import re
from functools import lru_cache

# A name may refer back to its own parts, so a hostile one can ask for output that doubles with
# every two references: that many cost at most 4,096 times the length of the name.
MAX_MANGLED = 512
MAX_REFERENCES = 24
_REFERENCE = re.compile(r"[ST][0-9A-Z]*_")


@lru_cache(maxsize=4096)
def demangle(name: str) -> str:
    """Return the C++ name behind an Itanium ABI mangled one; any other name unchanged."""
    if not name.startswith("_Z") or len(name) > MAX_MANGLED or not name.isascii():
        return name
    if len(_REFERENCE.findall(name)) > MAX_REFERENCES:
        return name
    library = _library()
    return name if library is None else _call(library, name)


def _call(library: ctypes.CDLL, name: str) -> str:
    status = ctypes.c_int()
    address = library.__cxa_demangle(name.encode(), None, None, ctypes.byref(status))
    if not address:
        return name
    try:
        text = ctypes.string_at(address).decode("utf-8", "backslashreplace")
    finally:
        library.free(ctypes.c_void_p(address))
    return text if status.value == 0 and text.isprintable() else name


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL("libstdc++.so.6")
    except OSError:
        return None
    library.__cxa_demangle.restype = ctypes.c_void_p
    library.free.restype = None
    return library
