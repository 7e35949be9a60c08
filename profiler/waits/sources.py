"""Where the list of threads comes from: a program in the kernel, or /proc where there is none."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from profiler.errors import KernelError
from profiler.linux.bcc import Compilation
from profiler.linux.module import BpfModule
from profiler.linux.task_registers import register_definitions
from profiler.process.procfs import in_initial_pid_namespace
from profiler.process.threads import present_threads, thread_births, thread_exits
from profiler.process.threads.present_threads import PresentThread, PresentThreads
from profiler.process.threads.proc_threads import read_proc_threads

SOURCES = ("present_threads.bpf.c",)
WITHOUT_BPF = (
    "read from /proc alone ({reason}): for how long threads have waited is not known, nor whole "
    "stacks of functions that keep their frame in rbp"
)
ReadThreads = Callable[[], tuple[PresentThread, ...]]


def compile_reader() -> Compilation | None:
    """Begin to compile what reads threads in the kernel; None where this kernel lacks it.

    Close what is returned.
    """
    needed = (
        thread_exits.definitions(),
        thread_births.definitions(),
        present_threads.definitions(),
        register_definitions(),
    )
    if not all(needed):
        return None
    return Compilation(SOURCES, {name: at for part in needed for name, at in part.items()})


def open_threads(
    stack: ExitStack, pid: int, compilation: Compilation | None
) -> tuple[ReadThreads, tuple[str, ...]]:
    """Return what reads the threads of a process, and warnings; the stack closes it."""
    reason = "the kernel has no BTF (CONFIG_DEBUG_INFO_BTF)"
    if not in_initial_pid_namespace():
        reason = "inside of a container the kernel's programs know threads by other ids"
    elif compilation is not None:
        try:
            module = stack.enter_context(BpfModule(compilation.result(), {"TARGET_TGID": pid}, {}))
            return PresentThreads(module).read, ()
        except KernelError as error:
            reason = error.message
        except OSError as error:
            reason = error.strerror or str(error)
    return lambda: read_proc_threads(pid), (WITHOUT_BPF.format(reason=reason),)
