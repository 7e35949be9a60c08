"""Asterisks of the lab for tests, with names that no other session has."""

import os

from lab import instance
from lab.instance import Instance, Options

PREFIX = f"test-{os.getpid()}"


def start(name: str, version: str, **options: object) -> Instance:
    return instance.start(Options(version, f"{PREFIX}-{name}", **options))  # type: ignore[arg-type]
