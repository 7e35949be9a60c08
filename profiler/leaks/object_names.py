"""What objects of one type are called: the text in each of them that tells them apart.

Nobody says where an object keeps its name. But objects of one type keep it at the same place, as
text of their own or behind a pointer, and it differs from one to the next. What is read is the
target's: it may be anything, so all is bounded.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence

from profiler.leaks.histories import ObservedObject
from profiler.process.memory import TargetMemory

OBJECTS_MAX = 64  # of one type: more tell nothing new
_BYTES_MAX = 1_024  # of each object; text behind pointers is up to _TEXT_MAX
_TEXT_MAX = 80
_TRIED = 8  # objects in which all pointers are followed; in others, those that led to texts
_TEXT = re.compile(rf"[ -~]{{3,{_TEXT_MAX}}}")
_OWN_TEXT = re.compile(rf"(?<![ -~])[ -~]{{3,{_TEXT_MAX}}}(?=\0)".encode())
_SHARE = 0.9  # of the objects have text there: some may have gone
_DISTINCT_MIN = 3  # fewer texts are no names: kinds, contexts, formats

Texts = list[dict[int, str]]  # for each object: by offset


def object_names(memory: TargetMemory, objects: Sequence[ObservedObject]) -> tuple[str, ...]:
    """Return the names of some living objects of one type; () where none tells them apart."""
    ranges = [(one.address, min(one.size_bytes, _BYTES_MAX)) for one in objects[:OBJECTS_MAX]]
    contents = [data for data in memory.read_ranges(ranges) if data]
    texts = [_own_texts(data) for data in contents]
    behind = _texts_behind(memory, contents)
    columns = [*_columns(texts, len(contents)), *_columns(behind, len(contents))]
    best = max(columns, key=lambda column: len(set(column)), default=())
    return best if len(set(best)) >= _DISTINCT_MIN else ()


def _own_texts(data: bytes) -> dict[int, str]:
    return {found.start(): found[0].decode("ascii") for found in _OWN_TEXT.finditer(data)}


def _texts_behind(memory: TargetMemory, contents: Sequence[bytes]) -> Texts:
    """Return the texts behind pointers."""
    tried = [_followed(memory, data, range(0, len(data) - 7, 8)) for data in contents[:_TRIED]]
    offsets = {offset for texts in tried for offset in texts}
    return tried + [_followed(memory, data, sorted(offsets)) for data in contents[_TRIED:]]


def _followed(memory: TargetMemory, data: bytes, offsets: Sequence[int]) -> dict[int, str]:
    found = {}
    for offset in offsets:
        if offset + 8 <= len(data):
            (pointer,) = struct.unpack_from("<Q", data, offset)
            text = memory.text(pointer, _TEXT_MAX + 1)
            if text and _TEXT.fullmatch(text):
                found[offset] = text
    return found


def _columns(texts: Texts, count: int) -> Iterator[tuple[str, ...]]:
    """Yield what stands at each offset that has text in nearly all objects."""
    for offset in sorted({offset for one in texts for offset in one}):
        column = tuple(one[offset] for one in texts if offset in one)
        if len(column) >= _SHARE * count:
            yield column
