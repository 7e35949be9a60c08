"""A storm of lookups in the lab's Asterisk, and how fast it goes.

The ground-truth module counts its own lookups, so that throughput is read from the target itself.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from lab.instance import Instance

_THREAD_NAME = "gt-search"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a storm had done at one time: lookups, comparisons, and CPU time of its threads."""

    time_ns: int
    lookups: int
    comparisons: int
    cpu_ns: int

    def __sub__(self, earlier: Reading) -> Reading:
        return Reading(
            self.time_ns - earlier.time_ns,
            self.lookups - earlier.lookups,
            self.comparisons - earlier.comparisons,
            self.cpu_ns - earlier.cpu_ns,
        )

    @property
    def per_second(self) -> float:
        """Lookups per second of wall-clock time."""
        return self.lookups * 1e9 / max(self.time_ns, 1)

    @property
    def cpu_ns_per_lookup(self) -> float:
        """CPU time of the searching threads for one lookup."""
        return self.cpu_ns / max(self.lookups, 1)


class Storm:
    """Threads that search one container at full speed until the context ends."""

    def __init__(
        self,
        instance: Instance,
        chain: int,
        threads: int = 1,
        search: str = "hit",
        buckets: int = 1,
        seconds: int = 900,
        options: str = "",
        container: str = "",
    ) -> None:
        self._instance = instance
        self._name = f"bench{chain}"
        self.chain = chain
        self.threads = threads
        made = instance.groundtruth(
            f"make {self._name} hash {buckets} {chain * buckets} {container}".strip()
        )
        self.address = int(str(made["address"]), 16)
        started = instance.groundtruth(
            f"start {self._name} {search} threads={threads} seconds={seconds} {options}".strip()
        )
        self.run = int(started["run"])
        self._tids: tuple[int, ...] = ()

    def tids(self) -> tuple[int, ...]:
        """Return the searching threads."""
        if not self._tids:
            task = Path(f"/proc/{self._instance.pid}/task")
            self._tids = tuple(
                int(entry.name)
                for entry in task.iterdir()
                if (entry / "comm").read_text().strip() == _THREAD_NAME
            )
        return self._tids

    def read(self) -> Reading:
        """Return what has been done so far."""
        pid = self._instance.pid
        answer = self._instance.groundtruth(f"result {self.run}")
        now = time.monotonic_ns()
        cpu = sum(
            int(Path(f"/proc/{pid}/task/{tid}/schedstat").read_text().split()[0])
            for tid in self.tids()
        )
        return Reading(now, int(answer["lookups"]), int(answer["comparisons"]), cpu)

    def __enter__(self) -> Storm:
        time.sleep(0.2)
        self.tids()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._instance.groundtruth(f"stop {self.run}")
        for _ in range(1_200):
            if self._instance.groundtruth(f"result {self.run}")["state"] == "done":
                break
            time.sleep(0.05)
        self._instance.groundtruth(f"free {self._name}")
