"""Asterisks of the lab for tests; each test session has names of its own."""

import os
from collections.abc import Iterator

import pytest

from lab import instance
from lab.instance import Instance, Options

PREFIX = f"test-{os.getpid()}"


def start(name: str, version: str, **options: object) -> Instance:
    return instance.start(Options(version, f"{PREFIX}-{name}", **options))  # type: ignore[arg-type]


@pytest.fixture(scope="module", params=["16", "22"])
def asterisk(request: pytest.FixtureRequest) -> Iterator[Instance]:
    with start(f"shared{request.param}", request.param) as running:
        yield running
