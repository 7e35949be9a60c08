"""The command `waits`, with a reader that gives snapshots which were made before."""

from __future__ import annotations

import json
from types import TracebackType

import pytest

from profiler.cli import waits
from profiler.errors import TargetError
from profiler.model.waits import Snapshot
from tests import wait_examples as examples
from tests.unit.cli.test_commands import run
from tests.wait_examples import circle, mutex, pictured, snapshot, waiter

STUCK_NS = examples.STUCK_NS


class Reader:
    """Gives the same threads again and again, 300 ms apart on their own clock."""

    def __init__(self, threads: tuple[object, ...], locks: tuple[object, ...]) -> None:
        self._threads, self._locks = threads, locks
        self.reads = 0

    def read(self) -> Snapshot:
        self.reads += 1
        return snapshot(self._threads, self._locks, self.reads * 300_000_000)  # type: ignore[arg-type]

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Reader:
    made = circle(2)
    fake = Reader(made.threads, made.locks)
    monkeypatch.setattr(waits, "open_reader", lambda pid, symbols: fake)
    return fake


def test_a_picture_takes_two_looks(reader: Reader, capsys: pytest.CaptureFixture[str]) -> None:
    waits.show(None, None, None, None, STUCK_NS, as_json=False)
    assert reader.reads == 2
    assert "deadlock: 2 threads wait for each other" in capsys.readouterr().out


def test_each_further_picture_takes_one_more(
    reader: Reader, capsys: pytest.CaptureFixture[str]
) -> None:
    waits.show(None, None, 1, 3, STUCK_NS, as_json=True)
    assert reader.reads == 4
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["status"] for line in lines] == ["deadlock"] * 3


@pytest.mark.parametrize(
    ("made", "code", "word"),
    [
        (circle(2), 11, "DEADLOCK"),
        (examples.chain(), 10, "STUCK"),
        (pictured([waiter(1, 0)], [mutex(0x1000, 9)]), 0, "OK"),
    ],
)
def test_one_line_and_a_code(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    made: object,
    code: int,
    word: str,
) -> None:
    fake = Reader(made.threads, made.locks)  # type: ignore[attr-defined]
    monkeypatch.setattr(waits, "open_reader", lambda pid, symbols: fake)
    assert waits.check(None, None, STUCK_NS) == code
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{word}: ")


def test_codes_collide_with_no_other() -> None:
    errors = range(8)
    assert not {10, 11} & {*errors, 130}
    assert sorted(waits.EXIT_CODES.values()) == [0, 10, 11]


def test_hints_name_this_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_pid: int | None) -> None:
        raise TargetError("several", "pick one: ebpf-prof asterisk --pid 7")

    monkeypatch.setattr(waits, "find_asterisk", refuse)
    monkeypatch.setattr(waits, "compile_reader", lambda: None)
    with pytest.raises(TargetError) as raised:
        waits.check(None, None, STUCK_NS)
    assert raised.value.hint == "pick one: ebpf-prof waits --pid 7"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--check", "--json"), "--check prints one line"),
        (("--check", "--every", "1s"), "--check prints one line"),
        (("--count", "3"), "--count needs a distance in time"),
        (("--stuck", "soon"), "is no duration"),
    ],
)
def test_senseless_options_are_refused_with_a_hint(words: tuple[str, ...], reason: str) -> None:
    result = run("waits", *words)
    assert (result.returncode, result.stdout) == (2, "")
    refusal, hint = result.stderr.splitlines()
    assert reason in refusal
    assert hint.startswith("  try: ")


def test_help_fits_into_eighty_columns() -> None:
    done = run("waits", "--help")
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "10 stuck threads" in done.stdout
