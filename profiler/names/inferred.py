"""Names for static functions of a stripped Asterisk, where the binary itself gives them.

Shown with a leading "~". Three rules, each measured on a build with symbols
(docs/measurements.md has the figures):

1. Registered functions (registered.py): the binary holds the function's name or role beside its
   address.
2. Caller names. Asterisk passes file, line and name of the calling function to its logging,
   locking, memory and ao2 functions (caller_signatures.py). The names that a function passes are
   its own and those of static functions that the compiler inlined into it. That whose calls have
   the greatest line numbers is taken for the function's own, because C needs a callee declared
   before its caller, under all of these conditions:
   - all calls but those from headers come from one source file;
   - the name is no exported function's, no other function passes the same string, and it is no
     generated name (`_dtor_...` of RAII_VAR) nor one of a CLI completion (`complete_...`), which
     are inlined in most places;
   - its references enclose those of the other candidates in the code;
   - it first occurs in the first 80 % of the function, after at most four direct calls that pass
     no name: a function that says nothing itself shows the name of what was inlined into it, but
     late;
   - a function whose address is taken is a callback: its name reads like one (`..._cb`,
     `handle_...`), or occurs in its first 40 bytes; any other has it in its first half.
3. Nothing else is named. Unknown stays unknown.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field

from profiler.asterisk.caller_signatures import CALLER_SIGNATURES
from profiler.binary.call_arguments import Call, calls
from profiler.binary.code_image import CodeImage, Function
from profiler.binary.instructions import Flow, Instruction
from profiler.binary.references import CodeReferences, string_text
from profiler.names.c_library import CLibraryNames
from profiler.names.registered import RegisteredNames

ASTERISK_MARK = "ast_module_register"  # imported by every module, exported by the executable
LATEST_RATIO = 0.8  # of the function's bytes
LATEST_UNTAKEN_RATIO = 0.5
LATEST_TAKEN_BYTES = 40
MAX_CALLS_BEFORE = 4
_NEVER = re.compile(r"_dtor_|(.*_)?complete_")
_CALLBACK = re.compile(
    r"(handle|action|manager|cli|acf|load|ari)_|(un|re)load"
    r"|.*_(cb|callback|exec|handler|thread|task|fn|func|apply|event|hash|cmp|destructor|read|write"
    r"|helper|hook|answer|call|hangup|indicate|fixup|request)$"
)


@dataclass(slots=True)
class _Evidence:
    """What speaks for one name inside one function."""

    lines: set[int] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    strings: set[int] = field(default_factory=set)  # addresses of the name's text
    places: list[int] = field(default_factory=list)  # where code loads or passes it, ascending

    @property
    def from_header(self) -> bool:
        return any(file.endswith(".h") for file in self.files)


class InferredNames:
    """Inferred names of one file's functions; each function is looked at when it is asked for."""

    def __init__(self, image: CodeImage) -> None:
        self._image = image
        self._references = CodeReferences(image)
        self._names: dict[int, str | None] = {}
        self._registered = RegisteredNames(image, self._references)
        self._c_library = CLibraryNames(image, self._references)

    def name(self, address: int) -> str | None:
        """Return "~name" for the function that holds `address`, None when no rule gives it."""
        function = self._image.function(address)
        if function is None:
            return None
        if function.start not in self._names:
            self._names[function.start] = self._infer(function)
        return self._names[function.start]

    def _infer(self, function: Function) -> str | None:
        if self._references.uses(ASTERISK_MARK):
            name = self._registered.name(function.start) or self._by_caller_names(function)
        else:
            name = self._c_library.name(function.start)
        return None if name is None else f"~{name}"

    def _by_caller_names(self, function: Function) -> str | None:
        texts = self._references.inside(function.start, function.end)
        if not any(self._references.identifier(target) for _, target in texts):
            return None
        code = self._image.decode(function)
        if not code:
            return None
        found = calls(code, self._references.callee, _positions)
        evidence = self._collect(code, list(found))
        own = _last_in_source(evidence)
        candidates = {name for name in evidence if self._may_own(function, name, evidence[name])}
        if own is None or own not in candidates:
            return None
        if not _encloses(evidence, own, candidates):
            return None
        return own if self._early(function, code, own, evidence[own].places[0]) else None

    def _collect(self, code: tuple[Instruction, ...], found: list[Call]) -> dict[str, _Evidence]:
        """Return what speaks for each name that the calls pass."""
        evidence: dict[str, _Evidence] = defaultdict(_Evidence)
        for call in found:
            signature = CALLER_SIGNATURES.get(call.callee)
            text = signature and self._references.identifier(call.values.get(signature.function))
            if not signature or not text:
                continue
            entry = evidence[text]
            entry.strings.add(call.values[signature.function])
            entry.places.append(call.address)
            line = call.values.get(signature.line)
            file = call.values.get(signature.file)
            entry.lines |= {line} if line else set()
            path = string_text(self._image.elf, file) if file is not None else None
            entry.files |= {path} if path else set()
        names = {address: name for name, entry in evidence.items() for address in entry.strings}
        for place, address in self._references.inside(code[0].address, code[-1].end):
            if address in names:
                evidence[names[address]].places.append(place)
        for entry in evidence.values():
            entry.places.sort()
        return dict(evidence)

    def _may_own(self, function: Function, name: str, evidence: _Evidence) -> bool:
        """Return whether the name can be that of the function, and not only of inlined code."""
        if evidence.from_header or _NEVER.match(name) or self._image.exported(name) is not None:
            return False
        places = (p for address in evidence.strings for p in self._references.to(address))
        return all(function.start <= place < function.end for place in places)

    def _early(
        self, function: Function, code: tuple[Instruction, ...], name: str, first: int
    ) -> bool:
        """Return whether the name occurs early enough to be the function's own."""
        before = first - function.start
        ratio = before / (function.end - function.start)
        silent = sum(1 for i in code if i.address < first and self._is_silent_call(i))
        if ratio >= LATEST_RATIO or silent > MAX_CALLS_BEFORE:
            return False
        if self._references.taken(function.start):
            return _CALLBACK.match(name) is not None or before <= LATEST_TAKEN_BYTES
        return ratio <= LATEST_UNTAKEN_RATIO

    def _is_silent_call(self, instruction: Instruction) -> bool:
        memory = instruction.memory
        by_slot = memory is not None and memory.address is not None
        if instruction.flow is not Flow.CALL and not (
            instruction.flow is Flow.INDIRECT_CALL and by_slot
        ):
            return False
        return self._references.callee(instruction) not in CALLER_SIGNATURES


def _positions(callee: str) -> tuple[int, ...]:
    signature = CALLER_SIGNATURES.get(callee)
    return () if signature is None else signature.positions


def _last_in_source(evidence: dict[str, _Evidence]) -> str | None:
    """Return the name with the greatest line, None unless all come from one source file."""
    own = {name: entry for name, entry in evidence.items() if not entry.from_header and entry.lines}
    files = {file for entry in own.values() for file in entry.files}
    if len(files) > 1 or not own:
        return None
    return max(own, key=lambda name: (max(own[name].lines), name))


def _encloses(evidence: dict[str, _Evidence], own: str, candidates: set[str]) -> bool:
    places = evidence[own].places
    others = [p for name in candidates - {own} for p in evidence[name].places]
    return not others or (places[0] <= min(others) and places[-1] >= max(others))
