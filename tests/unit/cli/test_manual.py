from __future__ import annotations

import subprocess

import click

from profiler.cli.commands import commands
from profiler.cli.manual import render


def manual() -> str:
    return render(click.Context(commands, info_name="ebpf-prof"), "1.2.3")


def test_who_reads_it_has_no_complaint() -> None:
    command = ["man", "--warnings", "-l", "-"]
    done = subprocess.run(command, input=manual(), capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.startswith("EBPF-PROF(1)")


def test_every_command_and_option_is_in_it() -> None:
    shown = manual().replace("\\-", "-")
    for name, command in commands.commands.items():
        assert f".SS {name}\n" in shown
        options = [one for one in command.params if isinstance(one, click.Option)]
        assert all(name in shown for option in options for name in option.opts)
    assert ".SH EXAMPLES\n" in shown
    assert "130 aborted" in shown


def test_no_line_begins_a_request_by_chance() -> None:
    known = (".TH", ".SH", ".SS", ".PP", ".TP", ".nf", ".fi")
    context = click.Context(click.Group("x", help=".sp\n\n'x \\fB -y"), info_name="x")
    for text in (manual(), render(context, ".2")):
        requests = [line for line in text.splitlines() if line.startswith((".", "'"))]
        assert all(line.split(" ")[0] in known for line in requests)
    assert "\\&'x \\efB \\-y" in text
