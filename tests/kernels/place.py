"""Where features are tried: two Asterisks of the lab, a program of ours, a folder for results."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lab import instance
from lab.instance import Instance, Options

_OPTIONS = {
    "16": Options("16", "kernels16", buckets=7, taskprocessors=12_000),
    "22": Options("22", "kernels22", endpoints=20),
}
WHOLE_RATIO = 0.98  # of a hundred stacks or more: single instructions have no description


class Partly(Exception):
    """The feature is there, but for what this says."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where features are tried: the folder of results, a program, and what BPF had before."""

    folder: Path
    frames: Path  # tests/bpf/programs/frames.c
    before: dict[str, set[int]]


def asterisk(version: str) -> Instance:
    """Return the running Asterisk of a version; it is started at first use."""
    return instance.start(_OPTIONS[version])
