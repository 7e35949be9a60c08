"""The man page: the help of all commands, as roff."""

from __future__ import annotations

from collections.abc import Iterator

import click

_UNWRAPPED = "\b"  # click's mark of a paragraph whose lines stay as they are


def render(context: click.Context, version: str) -> str:
    """Return the man page of a group of commands."""
    group = context.command
    assert isinstance(group, click.Group)
    summary, _, description = (group.help or "").partition("\n\n")
    lines = [f'.TH EBPF\\-PROF 1 "" "ebpf\\-prof {_escape(version)}" "User Commands"']
    lines += [".SH NAME", f"ebpf\\-prof \\- {_escape(_without_full_stop(summary))}"]
    contexts = [
        click.Context(command, info_name=name, parent=context)
        for name, command in group.commands.items()
    ]
    lines.append(".SH SYNOPSIS")
    for one in contexts:
        lines += [".PP", _usage(one)]
    lines += [".SH DESCRIPTION", *_paragraphs(description), ".SH COMMANDS"]
    for one in contexts:
        lines += [f".SS {_escape(one.info_name or '')}", *_paragraphs(one.command.help or "")]
        lines += _options(one)
    for paragraph in filter(str.strip, (group.epilog or "").split("\n\n")):
        lines += _section(paragraph)
    return "\n".join(lines) + "\n"


def _usage(context: click.Context) -> str:
    pieces = " ".join(context.command.collect_usage_pieces(context))
    return f"\\fB{_escape(context.command_path)}\\fR {_escape(pieces)}"


def _options(context: click.Context) -> Iterator[str]:
    for parameter in context.command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and isinstance(parameter, click.Option):  # arguments are in the usage
            yield from (".TP", f"\\fB{_escape(record[0])}\\fR", _escape(record[1]))


def _section(paragraph: str) -> Iterator[str]:
    """Yield an unwrapped paragraph with a title as a section of its own."""
    title, *lines = paragraph.strip().removeprefix(_UNWRAPPED).strip().splitlines()
    yield f".SH {_escape(title.removesuffix(':').upper())}"
    yield from (".nf", *map(_escape, lines), ".fi")


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in text.split("\n\n"):
        yield from (".PP", _escape(" ".join(paragraph.split())))


def _without_full_stop(text: str) -> str:
    return " ".join(text.split()).removesuffix(".")


def _escape(text: str) -> str:
    """Return text that roff takes as it is: at a line's begin, a dot or a quote is a request."""
    shown = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{shown}" if shown.startswith((".", "'")) else shown
