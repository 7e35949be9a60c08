from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from profiler.cli.commands import commands
from profiler.cli.completion import script
from profiler.errors import UsageError

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return one in which there is an `ebpf-prof`."""
    tool = tmp_path / "bin" / "ebpf-prof"
    tool.parent.mkdir()
    command = shlex.join([sys.executable, "-m", "profiler"])
    tool.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    tool.chmod(0o755)
    path = f"{tool.parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(REPOSITORY)}


def run(environment: dict[str, str], *words: str, **changes: str) -> str:
    changed = {**environment, **changes}
    return subprocess.run(
        words, env=changed, check=True, capture_output=True, text=True, timeout=60
    ).stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ebpf-prof", "as"], ["asterisk"]),
        (["ebpf-prof", "asterisk", "--bud"], ["--budget"]),
        (["ebpf-prof", "report", "-f", "sp"], ["speedscope"]),
        (["ebpf-prof", "completion", ""], ["bash", "zsh", "fish"]),
    ],
)
def test_bash_completes(environment: dict[str, str], words: list[str], expected: list[str]) -> None:
    session = (
        'eval "$(ebpf-prof completion bash)"; '
        f"COMP_WORDS=({' '.join(map(shlex.quote, words))}); COMP_CWORD={len(words) - 1}; "
        '$(complete -p ebpf-prof | sed "s/.*-F \\([^ ]*\\).*/\\1/") ebpf-prof; '
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    assert run(environment, "bash", "--norc", "-c", session).split() == expected


def test_zsh_completes(environment: dict[str, str]) -> None:
    # What belongs to zsh's line editor says here what it is given.
    session = (
        "compdef() { handler=$1 }; _describe() { print -rl -- ${(P)3} }; "
        'eval "$(ebpf-prof completion zsh)"; '
        "words=(ebpf-prof as); CURRENT=2; $handler"
    )
    (offered,) = run(environment, "zsh", "-f", "-c", session).splitlines()
    assert offered == "asterisk:Profile the running Asterisk."


def test_fish_completes(environment: dict[str, str], tmp_path: Path) -> None:
    session = 'ebpf-prof completion fish | source; complete -C "ebpf-prof as"'
    (offered,) = run(environment, "fish", "-c", session, HOME=str(tmp_path)).splitlines()
    assert offered == "asterisk\tProfile the running Asterisk."


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_asks_the_command_that_it_is_of(shell: str) -> None:
    text = script(commands, "_X_COMPLETE", shell)
    assert f"_X_COMPLETE={shell}_complete" in text
    assert "ebpf-prof" in text


def test_another_shell_is_refused() -> None:
    with pytest.raises(UsageError, match="no completion"):
        script(click.Command("x"), "_X_COMPLETE", "cmd")
