"""Where threads began, by their stacks: read from outside, and without a sample."""

from __future__ import annotations

import struct

from profiler.process.target import TargetProcess
from profiler.process.threads.present_threads import PresentThread
from profiler.unwind.kernel_tables import TableLibrary
from profiler.unwind.walk import Rules, walk

_SELF = 16  # struct pthread begins with tcbhead_t: glibc, sysdeps/x86_64/nptl/tls.h
_ADDRESS = struct.Struct("<Q")
# clone3(), start_thread() and the start routine: with fewer, a thread has not come to it yet. On a
# busy machine a new one waits for a CPU in clone3(), perhaps for long.
_BEGUN_FRAMES = 3


class Beginnings:
    """Reads where threads of one target began; remembers the rules that it met.

    `routine_at` is where glibc keeps a thread's start routine, None if that is not known.
    """

    def __init__(
        self, target: TargetProcess, library: TableLibrary, routine_at: int | None
    ) -> None:
        self._target = target
        self._rules = Rules(target.code, library)
        self._routine_at = routine_at

    def of(self, thread: PresentThread, most: int) -> tuple[int, ...]:
        """Return the outermost frames of a thread, outermost first; () if they are not known.

        They are where execution was, or addresses inside the calls. A thread that has run again
        meanwhile has another stack, but it began in the same frames. Of one that runs or has not
        begun yet, and where the stack is not whole, the start routine is what there is.
        """
        frames = () if thread.is_on_cpu else self._frames(thread)
        routine = self._routine(thread.fs_base) if len(frames) < _BEGUN_FRAMES else ()
        return routine or frames[: -most - 1 : -1]

    def _routine(self, descriptor: int) -> tuple[int, ...]:
        # What it was handed is not looked at: it may have been freed since, and used again.
        is_own = self._word(descriptor + _SELF) == descriptor
        if self._routine_at is None or not is_own:
            return ()
        routine = self._word(descriptor + self._routine_at)
        return (routine,) if routine else ()  # the main thread has none

    def _frames(self, thread: PresentThread) -> tuple[int, ...]:
        stack = walk(self._rules, self._word, thread.ip, thread.registers)
        return stack.frames if stack.cause is None else ()

    def _word(self, address: int) -> int | None:
        data = self._target.memory.read(address, _ADDRESS.size)
        return None if data is None else int(_ADDRESS.unpack(data)[0])
