"""Names for static functions of a stripped Asterisk, where the binary itself gives them.

Shown with a leading "~". Three rules, measured on builds with symbols (docs/names.md):

1. Registered functions (registered.py): the binary holds the function's name beside its address.
2. Caller names. Asterisk passes file, line and name of the calling function to its logging,
   locking, memory and ao2 functions (caller_signatures.py). The names that a function passes are
   its own and those of static functions that the compiler inlined into it. Of those that only
   this function passes, that whose calls have the greatest line numbers is taken for the
   function's own, because C needs a callee declared before its caller, under all of these
   conditions:
   - all calls but those from headers come from one source file;
   - the name is no exported function's, and it is no generated name (`_dtor_...` of RAII_VAR) nor
     one of a CLI completion (`complete_...`), which are inlined in most places;
   - no other such name occurs before it in the code: a function that says nothing itself shows
     the names of what was inlined into it, one after the other;
   - it first occurs in the first 80 % of the function. What a silent function inlines is, more
     often, late in it; so beyond the first 30 % the name must come with four lines or more, or no
     direct call that passes no name before it;
   - a function whose address is taken is a callback. Its name must end like one (`..._cb`, or as
     the members of the tables that Asterisk registers, like ast_channel_tech, do). Otherwise at
     most three direct calls that pass no name come before it, and it begins like one
     (`handle_...`) or occurs in the function's first 100 bytes or its first tenth. Where it does
     the latter in eight lines or more it is taken as well, but after rule 3.
   A name that is an exported function's, or that but for underscores in front, is taken without
   these conditions when that function calls this one: it is a part of it (`.part.0`), or behind it.
3. Roles (roles.py) for functions that are handed over, where no rule gives a name.

Functions of the C library have names by their shape (c_library.py). Nothing else is named.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from profiler.asterisk.caller_signatures import CALLER_SIGNATURES
from profiler.binary.call_arguments import Call, calls
from profiler.binary.code_image import CodeImage, Function
from profiler.binary.instructions import Flow, Instruction
from profiler.binary.references import CodeReferences, string_text
from profiler.names.c_library import CLibraryNames
from profiler.names.registered import RegisteredNames
from profiler.names.roles import Roles

ASTERISK_MARK = "ast_module_register"  # imported by every module, exported by the executable
LATEST_RATIO = 0.8  # of the function's bytes
SURE_RATIO, SURE_LINES = 0.3, 4
LATEST_TAKEN_RATIO, LATEST_TAKEN_BYTES = 0.1, 100
MAX_CALLS_BEFORE = 3
SPARE_LINES = 8
_NEVER = re.compile(r"_dtor_|(.*_)?complete_")
_HANDLER = re.compile(r"(handle|action|manager|cli|acf|load|ari|on)_|(un|re)load")
_CALLBACK = re.compile(
    r"(.*_)?(cb|callback|exec|execute|handler|thread|tasks?|fn|func|apply|event|hash|cmp|sort|match"
    r"|destructor|dtor|helper|hook|filter"
    r"|answer|call|devicestate|presencestate|digit|digit_begin|digit_end|early_bridge|exception"
    r"|fixup|hangup|html|image|indicate|queryoption|read|request|requester|setoption|stream"
    r"|streams|text|transfer|write|write_video"
    r"|destroy|dtmf_begin|dtmf_end|payload_set|prop_set|remote_address_set|stop|update_source"
    r"|incoming_request|incoming_response|outgoing_request|outgoing_response|rx_request"
    r"|rx_response|tx_request|tx_response|sdp_stream|session_begin|session_end|stream_stop"
    r"|emptied|shutdown|start|state_changed|task_pushed"
    r"|load_func|realtime|require|store|unload|update|join|leave|pull|push)$"
)


@dataclass(slots=True)
class _Evidence:
    """What speaks for one name inside one function."""

    lines: set[int] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    strings: set[int] = field(default_factory=set)  # addresses of the name's text
    places: list[int] = field(default_factory=list)  # where code loads or passes it, ascending

    @property
    def in_source(self) -> bool:
        return bool(self.lines) and not any(file.endswith(".h") for file in self.files)


class InferredNames:
    """Inferred names of one file's functions; each function is looked at when it is asked for."""

    def __init__(self, image: CodeImage) -> None:
        self._image = image
        self._references = CodeReferences(image)
        self._names: dict[int, str | None] = {}
        self._spare: dict[int, str] = {}  # by start: where nothing else gives a name
        self._registered = RegisteredNames(image, self._references)
        self._roles = Roles(image, self._references)
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
        start = function.start
        if self._references.uses(ASTERISK_MARK):
            name = self._registered.name(start) or self._by_caller_names(function)
        else:
            name = self._c_library.name(start)
        name = name or self._roles.role(start) or self._spare.get(start)
        return None if name is None else f"~{name}"

    def _by_caller_names(self, function: Function) -> str | None:
        texts = self._references.inside(function.start, function.end)
        if not any(self._references.identifier(target) for _, target in texts):
            return None
        code = self._image.decode(function)
        if not code:
            return None
        evidence = self._collect(code, list(calls(code, self._references.callee, _positions)))
        parts = (name for name in sorted(evidence) if self._is_part_of(function, name))
        whole = next(parts, None)
        if whole is not None:
            return whole
        own = self._last_in_source(function, code, evidence)
        return own if own and self._early(function, code, own, evidence[own]) else None

    def _last_in_source(
        self,
        function: Function,
        code: tuple[Instruction, ...],
        evidence: dict[str, _Evidence],
    ) -> str | None:
        """Return the function's name if it has one source file, and the name comes first there."""
        here = {name: entry for name, entry in evidence.items() if entry.in_source}
        if len({file for entry in here.values() for file in entry.files}) > 1:
            return None
        parts = (function, *self._parts(function, code))
        candidates = {name for name, entry in here.items() if self._may_own(parts, name, entry)}
        own = max(candidates, key=lambda name: (max(here[name].lines), name), default=None)
        first = min(candidates, key=lambda name: here[name].places[0], default=None)
        return own if own == first else None

    def _is_part_of(self, function: Function, name: str) -> bool:
        """Return whether an exported function of that name, but for underscores, calls this one."""
        for exported in {name, name.lstrip("_")}:
            start = self._image.exported(exported)
            caller = None if start is None else self._image.function(start)
            if caller is not None and self._references.calls(caller, function.start):
                return caller.start != function.start
        return False

    def _parts(self, function: Function, code: tuple[Instruction, ...]) -> list[Function]:
        """Return the parts that the compiler moved away: tail calls are never conditional."""
        targets = {i.target for i in code if i.flow is Flow.BRANCH and i.target is not None}
        outside = (t for t in sorted(targets) if not function.start <= t < function.end)
        return [part for part in map(self._image.function, outside) if part is not None]

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

    def _may_own(self, parts: Sequence[Function], name: str, evidence: _Evidence) -> bool:
        """Return whether the name can be that of the function, and not only of inlined code."""
        if _NEVER.match(name) or self._image.exported(name) is not None:
            return False
        places = (p for address in evidence.strings for p in self._references.to(address))
        return all(any(part.start <= place < part.end for part in parts) for place in places)

    def _early(
        self, function: Function, code: tuple[Instruction, ...], name: str, evidence: _Evidence
    ) -> bool:
        """Return whether the name occurs early enough to be the function's own."""
        first = evidence.places[0]
        ratio = (first - function.start) / (function.end - function.start)
        if ratio >= LATEST_RATIO:
            return False
        silent = sum(1 for i in code if i.address < first and self._is_silent_call(i))
        if not self._references.taken(function.start):
            return ratio <= SURE_RATIO or len(evidence.lines) >= SURE_LINES or not silent
        if _CALLBACK.match(name):
            return True
        at_once = first - function.start <= LATEST_TAKEN_BYTES or ratio <= LATEST_TAKEN_RATIO
        if at_once and len(evidence.lines) >= SPARE_LINES:
            self._spare[function.start] = name
        return silent <= MAX_CALLS_BEFORE and (at_once or _HANDLER.match(name) is not None)

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
