"""Profiles something real for whoever has just cloned this: `make run`.

The running Asterisk if there is one. Else the lab's Asterisk 16.28 in the state that this tool was
made for: more than 55,000 taskprocessors in one container of 7 buckets, and phones that register.
"""

import argparse
import subprocess
import sys
import threading
from pathlib import Path

from lab import instance
from lab import traffic as sip
from lab.errors import LabError
from lab.instance import Instance, Options
from profiler.asterisk.find import find_candidates

TASKPROCESSORS = 55_585
BUCKETS = 7  # TPS_MAX_BUCKETS of Asterisk before 13.20 and 15.3 (commit 7ed7d525fb)
REGISTERS_HZ = 100.0
NAME = "story"


def profile(arguments: list[str]) -> int:
    """Run the profiler as a user would, and return its exit code."""
    command = [str(Path(sys.executable).with_name("ebpf-prof")), "asterisk", *arguments]
    print("$ sudo", " ".join(["ebpf-prof", *command[1:]]), file=sys.stderr)
    return subprocess.run(command, check=False).returncode


def register(target: Instance, seconds: int, outcome: list[str]) -> None:
    """Let phones register for some seconds."""
    try:
        summary = sip.run("register", target, REGISTERS_HZ, round(REGISTERS_HZ * seconds))
        outcome.append(f"{summary.successful:,} of {summary.asked:,} REGISTER requests answered")
    except LabError as error:
        outcome.append(f"the traffic failed: {error}")


def run_story(seconds: int, output: str | None) -> int:
    """Start the lab's Asterisk, profile it under load, and leave nothing behind."""
    print("No Asterisk is running here: starting the lab's own.", file=sys.stderr)
    options = Options("16", NAME, buckets=BUCKETS, taskprocessors=TASKPROCESSORS)
    with instance.start(options) as target:
        print(
            f"Asterisk 16.28 of Debian, with one constant of its binary changed so that the\n"
            f"container of taskprocessors has {BUCKETS} buckets, as before Asterisk 13.20.\n"
            f"It holds {target.taskprocessor_count():,} taskprocessors, and phones register.",
            file=sys.stderr,
        )
        outcome: list[str] = []
        load = threading.Thread(target=register, args=(target, seconds + 6, outcome))
        load.start()
        code = profile(
            ["--pid", str(target.pid), "--duration", str(seconds)]
            + (["--output", output] if output else [])
        )
        load.join()
        print("\n".join(outcome), file=sys.stderr)
    instance.sweep()
    return code


def main() -> int:
    """Profile, and return the exit code of the profiler."""
    parser = argparse.ArgumentParser(prog="lab.story", description=__doc__.splitlines()[0])
    parser.add_argument("--duration", type=int, default=60, help="seconds")
    parser.add_argument("--output", help="folder for the results")
    arguments = parser.parse_args()
    try:
        if find_candidates():
            return profile(
                ["--duration", str(arguments.duration)]
                + (["--output", arguments.output] if arguments.output else [])
            )
        return run_story(arguments.duration, arguments.output)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
