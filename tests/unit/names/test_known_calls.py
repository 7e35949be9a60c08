from __future__ import annotations

from pathlib import Path

import pytest

from profiler.binary.references import CodeReferences
from profiler.names.known_calls import KnownCalls
from tests.compiled import build, image_of, symbols_of

SOURCE = """
int hand_over(int, int (*)(void)), other(int (*)(void));
static volatile int count;
static int called(void) { return count += 1; }
int first(void) { return hand_over(3, called) + other(called); }
int second(void) { return hand_over(5, 0); }
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return build(tmp_path, SOURCE, "-shared", "-fPIC", "-O2")


def known(path: Path) -> KnownCalls:
    image = image_of(path)
    return KnownCalls(image, CodeReferences(image), {"hand_over": (0, 1), "absent": (0,)})


def test_calls_of_one_function_are_found_in_the_whole_file(path: Path) -> None:
    called = symbols_of(path)["called"]
    first, second = known(path).of("hand_over")
    assert first.values == {0: 3, 1: called}
    assert second.values[0] == 5


def test_calls_near_an_address_are_those_of_the_functions_that_refer_to_it(path: Path) -> None:
    symbols = symbols_of(path)
    found = list(known(path).near(symbols["called"]))
    assert [(user, call.callee) for user, call in found] == [(symbols["first"], "hand_over")]
    assert list(known(path).near(symbols["first"])) == []


def test_functions_that_the_file_does_not_use_have_no_calls(path: Path) -> None:
    assert list(known(path).of("absent")) == []
