"""Calls of ao2 container operations in the code of one file: which one, from which source place.

Asterisk 14 and later hand file, line and function of the caller to each operation
(caller_signatures.py), so that the code around a call says where in the source it is. Asterisk 13
does so only in its `..._debug` functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

from profiler.asterisk.caller_signatures import CALLER_SIGNATURES, Signature
from profiler.binary.argument_flow import arguments_at
from profiler.binary.code_image import CodeImage
from profiler.binary.elf import Elf
from profiler.binary.functions import FunctionTable
from profiler.binary.instructions import Flow, decode
from profiler.binary.references import CodeReferences, string_text

# What walks or fills containers, without leading underscores. Source: include/asterisk/astobj2.h.
OPERATIONS = frozenset(
    (
        "ao2_find",
        "ao2_callback",
        "ao2_callback_data",
        "ao2_unlink",
        "ao2_weakproxy_find",
        "ao2_link",
        "ao2_iterator_next",
        "ao2_container_clone",
        "ao2_container_dup",
        "ao2_container_dup_weakproxy_objs",
    )
)
_DEBUG = "_debug"  # Asterisk 13
_CALLS = ((5, b"\xe8"), (6, b"\xff\x15"))  # call rel32; call *disp32(%rip)
_SOURCE = re.compile(r"[^\0-\x1f]{1,240}\.(c|h|cc|cpp)")
_EXPRESSION = re.compile(r"[A-Za-z_&*(][\w.&*()>\[\] ,+-]{0,119}")
_MOST_LINES = 1 << 20


@dataclass(frozen=True, slots=True)
class SourcePlace:
    """What a call says of its own place; None is what the code around it does not show."""

    file: str | None
    line: int | None
    function: str | None

    @property
    def is_in_containers(self) -> bool:
        """Return whether it is in the code that containers themselves are made of."""
        return (self.file or "").rpartition("/")[2].startswith("astobj2")


UNKNOWN_PLACE = SourcePlace(None, None, None)


@dataclass(frozen=True, slots=True)
class NamedCall:
    """A call of a function with a name: an exported one, or one of another file."""

    address: int
    callee: str


@lru_cache(maxsize=1 << 14)
def operation_name(function: str | None) -> str | None:
    """Return the operation that an exported function is, as the API calls it; None: it is none."""
    name = (function or "").removesuffix(_DEBUG).lstrip("_")
    return name if name in OPERATIONS else None


def passes_place(function: str | None) -> bool:
    """Return whether a function takes its caller's file, line and function name."""
    return function is not None and _signature(function) is not None


def _signature(function: str) -> Signature | None:
    return CALLER_SIGNATURES.get(function.removesuffix(_DEBUG))


class ContainerCalls:
    """The calls of one file; each is looked at when it is asked for."""

    def __init__(self, elf: Elf, functions: FunctionTable) -> None:
        """Look at `elf`; nothing is read yet."""
        self._elf = elf
        self._functions = functions

    @cached_property
    def _image(self) -> CodeImage:
        return CodeImage(self._elf, self._functions)

    @cached_property
    def _references(self) -> CodeReferences:
        return CodeReferences(self._image)

    def function(self, address: int) -> str | None:
        """Return the exported name of the function that holds an address, None if it has none."""
        bounds = self._functions.containing(address)
        return None if bounds is None else self._references.function_name(bounds[0])

    def before(self, return_address: int) -> NamedCall | None:
        """Return the call that ends at an address, None without one of a function with a name."""
        for size, opcode in _CALLS:
            code = self._elf.read_at(return_address - size, size)
            if code is None or not code.startswith(opcode):
                continue
            call = decode(code, 0, return_address - size)
            callee = self._references.callee(call)
            if callee is not None:
                return NamedCall(call.address, callee)
        return None

    def calls_before(self, address: int) -> Iterator[NamedCall]:
        """Yield the calls, of functions with a name, that a function makes before an address."""
        function = self._image.function(address)
        code = self._image.instructions(function) if function is not None else None
        for instruction in code or ():
            if instruction.end > address:
                return
            if instruction.flow in (Flow.CALL, Flow.INDIRECT_CALL):
                callee = self._references.callee(instruction)
                if callee is not None:
                    yield NamedCall(instruction.address, callee)

    def place(self, call: NamedCall) -> SourcePlace:
        """Return the source place that a call hands over."""
        signature = _signature(call.callee)
        function = self._image.function(call.address) if signature is not None else None
        code = self._image.instructions(function) if function is not None else None
        if signature is None or code is None:
            return UNKNOWN_PLACE
        values = arguments_at(code, call.address, signature.positions)
        file, line = values.get(signature.file), values.get(signature.line)
        return SourcePlace(
            None if file is None else self._source(file),
            line if line is not None and 0 < line < _MOST_LINES else None,
            self._references.identifier(values.get(signature.function)),
        )

    def argument(self, call: NamedCall, position: int) -> int | None:
        """Return an argument that is the same whenever a call is made, None if it is not known."""
        function = self._image.function(call.address)
        code = self._image.instructions(function) if function is not None else None
        return None if code is None else arguments_at(code, call.address, (position,)).get(position)

    def text(self, call: NamedCall, position: int) -> str | None:
        """Return the name of a variable or function that a call hands over, None if it is none."""
        value = self.argument(call, position)
        text = None if value is None else string_text(self._elf, value)
        return text if text is not None and _EXPRESSION.fullmatch(text) else None

    def _source(self, address: int) -> str | None:
        """Return the text at an address if it names a source file."""
        text = string_text(self._elf, address)
        return text if text is not None and _SOURCE.fullmatch(text) else None
