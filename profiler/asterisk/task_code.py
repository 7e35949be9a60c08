"""Finds in Asterisk's code where tasks are pushed to task processors, where they begin and end.

Pure analysis of instructions. ast_taskprocessor_execute() takes a task out of the queue, keeps it
in a register, unlocks the queue, and calls the task's function in one of two ways: with the task's
data, or with a structure that points to it (main/taskprocessor.c, Asterisk 12 to 23). The one
branch before both calls is where a task begins. What both calls go on to is where it ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from profiler.binary.code_image import CodeImage
from profiler.binary.instructions import CALLEE_SAVED, RAX, RDI, RDX, RSI, Flow, Instruction
from profiler.binary.probe_sites import Site, SiteRefusedError, choose_site, is_emulated, site_at
from profiler.errors import ProbeError

# Since 22 callers name their file and line, and call those with underscores.
_PUSHES = (
    "ast_taskprocessor_push",
    "ast_taskprocessor_push_local",
    "__ast_taskprocessor_push",
    "__ast_taskprocessor_push_local",
)
_EXECUTE = "ast_taskprocessor_execute"
_MOST_STEPS = 40  # from a call to where both calls meet
_NEAR = 12  # instructions before a call in which its register is loaded


@dataclass(frozen=True, slots=True)
class TaskCode:
    """Where probes go, and where things lie. Offsets in bytes, registers by hardware number."""

    pushes: tuple[Site, ...]
    begin: Site
    end: Site
    processor_register: int
    task_register: int
    function_offset: int  # in a task
    data_offset: int
    size_offset: int | None  # in a task processor; None: its accessor is not understood
    name_offset: int | None
    name_is_pointer: bool

    def definitions(self) -> dict[str, int]:
        """Return the macros of bpf/tasks.bpf.c."""
        return {
            "PROCESSOR_REGISTER": self.processor_register,
            "TASK_REGISTER": self.task_register,
            "FUNCTION_OFFSET": self.function_offset,
            "DATA_OFFSET": self.data_offset,
            "SIZE_OFFSET": -1 if self.size_offset is None else self.size_offset,
            "NAME_OFFSET": -1 if self.name_offset is None else self.name_offset,
            "NAME_IS_POINTER": int(self.name_is_pointer),
        }


@dataclass(frozen=True, slots=True)
class _Callback:
    """A call of a task's function."""

    call: Instruction
    task_register: int
    function_offset: int


def find_task_code(image: CodeImage) -> TaskCode:
    """Return what the code of an executable shows; raises ProbeError where it shows too little."""
    code = _code(image, _EXECUTE)
    callback = _callback(code)
    processor = _kept_argument(code)
    if callback is None or processor is None:
        raise ProbeError(f"{_EXECUTE}: the call of a task's function was not found")
    begin = _begin(code, callback.call)
    data = _data_offset(code, callback.task_register)
    end = _end(code, begin.calls, callback.task_register) if begin is not None else None
    if begin is None or end is None or data is None:
        raise ProbeError(f"{_EXECUTE}: no place for a probe around a task's function")
    name = _accessor(image, "ast_taskprocessor_name")
    size = _accessor(image, "ast_taskprocessor_size")
    return TaskCode(
        pushes=_push_sites(image),
        begin=site_at(image, begin.branch, "a task begins", "passed once before each task"),
        end=site_at(image, end, "a task ends", "passed once behind each task"),
        processor_register=processor,
        task_register=callback.task_register,
        function_offset=callback.function_offset,
        data_offset=data,
        size_offset=size.displacement if size and size.loads else None,
        name_offset=name.displacement if name else None,
        name_is_pointer=name.loads if name else False,
    )


def _push_sites(image: CodeImage) -> tuple[Site, ...]:
    sites, refused = [], []
    for name in _PUSHES:
        address = image.exported(name)
        if address is None:
            continue
        try:
            sites.append(choose_site(image, address, name, (RDI, RSI, RDX), returns=True))
        except SiteRefusedError as error:
            refused.append(str(error))
    if refused or not sites:
        raise ProbeError("pushes cannot be seen: " + "; ".join(refused or ["not exported"]))
    return tuple(sites)


def _code(image: CodeImage, name: str) -> tuple[Instruction, ...]:
    address = image.exported(name)
    function = image.function(address) if address is not None else None
    code = image.instructions(function) if function is not None else None
    if code is None:
        raise ProbeError(f"{name} is not in the executable")
    return code


@dataclass(frozen=True, slots=True)
class _Begin:
    """The branch before a task's function is called, and both calls."""

    branch: int
    calls: tuple[Instruction, ...]


def _callback(code: Sequence[Instruction]) -> _Callback | None:
    """Return the first call of a function that a callee-saved register points to."""
    for index, call in enumerate(code):
        if call.flow is Flow.INDIRECT_CALL:
            loaded = _loaded_from(code[:index], call)
            if loaded is not None:
                return _Callback(call, *loaded)
    return None


def _loaded_from(before: Sequence[Instruction], call: Instruction) -> tuple[int, int] | None:
    """Return the callee-saved register and the offset that a called address is read from."""
    source = call.memory
    if source is None:
        for instruction in reversed(before[-_NEAR:]):
            if call.first is not None and instruction.changes >> call.first & 1:
                source = instruction.memory if instruction.mnemonic == "mov" else None
                break
    if source is None or source.base is None or source.index is not None:
        return None
    return (source.base, source.displacement) if CALLEE_SAVED >> source.base & 1 else None


def _kept_argument(code: Iterable[Instruction]) -> int | None:
    """Return the callee-saved register that holds the function's first argument."""
    for instruction in code:
        if instruction.mnemonic == "mov" and instruction.second == RDI:
            first = instruction.first
            return first if first is not None and CALLEE_SAVED >> first & 1 else None
        if instruction.changes >> RDI & 1:
            return None
    return None


def _data_offset(code: Iterable[Instruction], task: int) -> int | None:
    """Return from where in a task its function's argument is loaded."""
    for instruction in code:
        memory = instruction.memory
        loads = instruction.mnemonic == "mov" and instruction.first == RDI
        if loads and memory is not None and memory.base == task and memory.index is None:
            return memory.displacement
    return None


def _line(code: Sequence[Instruction], start: int) -> list[Instruction]:
    """Return what is passed from an address on, up to what may lead elsewhere, jumps followed."""
    by_address = {instruction.address: instruction for instruction in code}
    line: list[Instruction] = []
    at: int | None = start
    while at is not None and at in by_address and len(line) < _MOST_STEPS:
        instruction = by_address[at]
        line.append(instruction)
        if instruction.flow is Flow.JUMP:
            at = instruction.target
        else:
            at = instruction.end if instruction.flow is Flow.STRAIGHT else None
    return line


def _begin(code: Sequence[Instruction], call: Instruction) -> _Begin | None:
    """Return the branch that leads to a call of a task's function, whichever way it goes."""
    for branch in code:
        if branch.flow is not Flow.BRANCH or branch.target is None or not is_emulated(branch):
            continue
        ways = (_line(code, branch.end), _line(code, branch.target))
        calls = tuple(way[-1] for way in ways if way)
        if call in calls and all(last.flow is Flow.INDIRECT_CALL for last in calls):
            return _Begin(branch.address, calls)
    return None


def _end(code: Sequence[Instruction], calls: Sequence[Instruction], task: int) -> int | None:
    """Return the first place behind all calls where a trap is cheap and the task still known."""
    lines = [_line(code, call.end) for call in calls]
    common = set.intersection(*({i.address for i in line} for line in lines))
    for line in lines:
        for instruction in line:
            if instruction.address in common and is_emulated(instruction):
                return instruction.address
            if instruction.changes >> task & 1:
                return None
    return None


@dataclass(frozen=True, slots=True)
class _Access:
    displacement: int
    loads: bool  # what lies there, else its address


def _accessor(image: CodeImage, name: str) -> _Access | None:
    """Return from where in its argument's structure an exported function returns something."""
    try:
        code = _code(image, name)
    except ProbeError:
        return None
    for instruction in code:
        memory = instruction.memory
        if instruction.first == RAX and memory is not None and memory.base == RDI:
            if instruction.mnemonic in ("mov", "lea") and memory.index is None:
                return _Access(memory.displacement, instruction.mnemonic == "mov")
        elif instruction.flow in (Flow.CALL, Flow.RETURN) or instruction.changes >> RDI & 1:
            return None
    return None
