"""What the profiler does on the kernel that runs, as root: python -m tests.kernels.features FOLDER.

FOLDER holds what __main__.py prepared. Prints a line of JSON for the kernel, then one for each
feature as soon as it is known. A feature that fails or hangs does not end the others.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from lab import cache
from profiler import disk_cache
from profiler.linux.btf import offsets
from profiler.linux.task_registers import has_task_registers
from profiler.probes.attach import variants_here
from tests.kernels import lives, runs, truths
from tests.kernels.place import Partly, Place
from tests.live.outside import present

LAB, FRAMES = "lab.tar", "frames"  # files of FOLDER
YES, PARTLY, NO = "yes", "partly", "no"


@dataclass(frozen=True, slots=True)
class Feature:
    """One row of the table, and after how many seconds it counts as hanging."""

    name: str
    check: Callable[[Place], str]
    limit_s: float = 900.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a feature: yes, partly or no; what was seen or is missing."""

    feature: str
    state: str
    detail: str
    seconds: int


FEATURES = (
    Feature("`doctor`: nothing failed", runs.check_doctor),
    Feature("`--list-probes`", runs.check_probe_list),
    Feature("field story: the first finding is right", runs.check_story),
    Feature("field story: whole stacks", runs.check_whole_stacks),
    Feature("`--verify`: counts that agree", runs.check_verify),
    Feature("exact counts, containers of all kinds", truths.check_counts),
    Feature("stacks around system calls as gdb sees them", truths.check_program_stacks),
    Feature("stacks of Asterisk 16 as gdb sees them", truths.check_asterisk_stacks),
    Feature("threads that end are reported", truths.check_thread_ends),
    Feature("what threads run is known without samples", truths.check_thread_starts),
    Feature("threads that wait: whole stacks, and since when", truths.check_waiting_threads),
    Feature("waits: all seen, with stacks", truths.check_off_cpu),
    Feature("tasks: programs for every register", lives.check_task_programs),
    Feature("tasks: all seen, from push to end", lives.check_tasks),
    Feature("containers that grow: who links", lives.check_links),
    Feature("objects: followed from birth to end", lives.check_objects),
    Feature("Asterisk 22, `--verify`: counts that agree", runs.check_new_version),
    Feature("Asterisk 22: whole stacks", runs.check_new_stacks),
    Feature("Asterisk 22: exact counts", truths.check_new_counts),
    Feature("`kill -9` in the middle leaves nothing", runs.check_killed),
    Feature("at the end nothing is left", runs.check_nothing_left),
)


def describe_kernel() -> dict[str, str]:
    """Return what runs, and which ways it offers."""
    import bcc

    ways = variants_here()
    registers = "by helper" if has_task_registers() else "by the task's stack"
    if not has_task_registers() and offsets("task_struct", ("stack",)) is None:
        registers = "not"
    return {
        "kernel": platform.release(),
        "bcc": bcc.__version__,
        "python": platform.python_version(),
        "links": ways[0].links.value if ways else "none",
        "walks": "iterator" if ways and ways[0].iterator else "tail calls",
        "registers": registers,
        "btf": YES if Path("/sys/kernel/btf/vmlinux").exists() else NO,
    }


def where(error: BaseException) -> str:
    """Return what went wrong, in one line: with the assertion where it has no words."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    words = " ".join(str(error).split()) or f"{last.line} ({Path(last.filename).name})"
    return words if isinstance(error, AssertionError) else f"{type(error).__name__}: {words}"


def check_in_child(feature: Feature, place: Place, sender: Connection) -> None:
    """Try a feature in a process group of its own, and send what came of it."""
    os.setsid()
    try:
        sender.send((YES, feature.check(place)))
    except Partly as error:
        sender.send((PARTLY, str(error)))
    except Exception as error:  # noqa: BLE001  # whatever it is, it is the row's answer
        traceback.print_exc()
        sender.send((NO, where(error)))


def try_feature(feature: Feature, place: Place) -> tuple[str, str]:
    """Return state and detail of a feature, after its limit at the latest."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    context = multiprocessing.get_context("fork")
    child = context.Process(target=check_in_child, args=(feature, place, sender))
    child.start()
    sender.close()
    try:
        if not receiver.poll(feature.limit_s):
            return NO, f"not done in {feature.limit_s:.0f} s"
        state, detail = receiver.recv()
        child.join()
        return state, detail
    except EOFError:
        return NO, "its process ended"
    finally:
        with suppress(ProcessLookupError):  # what it started, too
            os.killpg(child.pid or 0, signal.SIGKILL)
        child.kill()  # it may not have a group yet
        child.join()


def main(folder: Path) -> None:
    """Unpack the lab into memory, and try all features."""
    print(json.dumps(describe_kernel()), flush=True)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
        os.environ[cache.ENVIRONMENT] = memory
        os.environ[disk_cache.VARIABLE] = f"{memory}/compiled"
        subprocess.run(["tar", "-x", "-C", memory, "-f", folder / LAB], check=True)
        before = present()
        place = Place(Path(tempfile.mkdtemp()), folder / FRAMES, before)
        for feature in FEATURES:
            started = time.monotonic()
            state, detail = try_feature(feature, place)
            outcome = Outcome(feature.name, state, detail, round(time.monotonic() - started))
            print(json.dumps(asdict(outcome)), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
