"""The command line: what each command and option is.

What a command needs is imported when it runs: all of it takes 0.2 s of CPU time, in which a user
would see nothing.
"""

from __future__ import annotations

import gc
import os
import sys
from contextlib import closing, suppress
from pathlib import Path

import click

from profiler import __version__
from profiler.cli.destination import EXTENSIONS, parse_destination, parse_recording
from profiler.cli.errors import run
from profiler.cli.options import MAX_FREQUENCY_HZ, Budget, Commands, Duration, Frequency
from profiler.cli.progress import ProgressLine
from profiler.cli.streams import leave, open_missing, write_out
from profiler.errors import UsageError

# Before garbage is looked for. A recording is made of hundreds of thousands of values, all in use;
# by default the search for garbage among them takes a quarter of a report's time.
_NEW_OBJECTS = 50_000
_COMPLETION = "_EBPF_PROF_COMPLETE"  # the name that click derives from ours
SHELLS = ("bash", "zsh", "fish")
EXAMPLES = """\b
Examples:
  sudo ebpf-prof asterisk                 profile the running Asterisk, 10 s
  sudo ebpf-prof asterisk --duration 60   for a minute
  sudo ebpf-prof asterisk -p 4711 -o DIR  this process, results into DIR
  sudo ebpf-prof asterisk -o cpu.svg      only the flame graph
  sudo ebpf-prof asterisk --budget 0.2%   take at most 0.2 % of one CPU
  sudo ebpf-prof asterisk --list-probes   show where probes would go
"""
EXIT_CODES = """\b
Exit codes:
  0 ok  1 internal error  2 usage  3 target  4 probes or symbols
  5 privilege  6 kernel  7 incomplete (only with --strict)  130 aborted
  10 stuck threads  11 deadlock (both only of waits --check)
"""
FULL = click.option(
    "--full", is_flag=True, help="Print the whole report, not only what fits on a screen."
)
BUDGET = click.option(
    "--budget",
    type=Budget(),
    default="1%",
    show_default=True,
    help="Maximum overhead, as a share of one CPU: 0.1% to 100%, or off.",
)
SYMBOLS = click.option(
    "--symbols",
    type=click.Path(exists=True, file_okay=False),
    help="Folder with debug symbol files, found by build id.",
)
FORMAT = click.option(
    "-f",
    "--format",
    type=click.Choice(sorted(set(EXTENSIONS.values()))),
    help="What to write with -o, whatever the file is called.",
)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog=EXAMPLES + "\n\n" + EXIT_CODES,
    no_args_is_help=False,  # which writes the whole help as if it were an error's one line
)
@click.version_option(__version__, prog_name="ebpf-prof")
def commands() -> None:
    """Profile a running Asterisk without stopping, restarting or rebuilding it.

    Shows which threads burn CPU and in which functions, which container lookups cost most and
    where in Asterisk's source they are made, and what measuring took from the PBX.
    """


@commands.command(epilog=EXAMPLES + "\n\n" + EXIT_CODES)
@click.option("-p", "--pid", type=click.IntRange(min=1), help="Process to profile.")
@click.option(
    "-d", "--duration", type=Duration(), default="10s", show_default=True, help="60, 60s, 1m."
)
@click.option(
    "-F",
    "--frequency",
    type=Frequency(1, MAX_FREQUENCY_HZ),
    default=99.0,
    show_default=True,
    help="Samples per second of CPU time.",
)
@BUDGET
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    help="Folder for the results, or a file for one of them: .html, .svg, .json, .folded, .pb.gz, "
    ".speedscope.json; - is the standard output. [default: ebpf-prof-asterisk-<time>-<pid>]",
)
@FORMAT
@click.option("--json", "as_json", is_flag=True, help="Print profile.json instead of the report.")
@FULL
@click.option("--cpu-only", is_flag=True, help="Only sample the CPU; place no probes.")
@click.option(
    "--verify",
    is_flag=True,
    help="Self-check: count every comparison a second way (slow; keep runs short).",
)
@click.option("--list-probes", is_flag=True, help="Show where probes would go, and place none.")
@click.option("-U", "--user", "user_only", is_flag=True, help="Leave kernel frames out.")
@click.option("-K", "--kernel", "kernel_only", is_flag=True, help="Leave user frames out.")
@SYMBOLS
@click.option("--strict", is_flag=True, help="Exit with 7 when anything was lost or truncated.")
@click.option("-q", "--quiet", is_flag=True, help="Only write files, and print where they are.")
def asterisk(
    pid: int | None,
    duration: float,
    frequency: float,
    budget: float,
    output: str | None,
    format: str | None,
    as_json: bool,
    full: bool,
    cpu_only: bool,
    verify: bool,
    list_probes: bool,
    user_only: bool,
    kernel_only: bool,
    symbols: str | None,
    strict: bool,
    quiet: bool,
) -> None:
    """Profile the running Asterisk.

    The target is neither stopped nor changed. Press Ctrl-C to end early: everything measured so
    far is reported and written. A second Ctrl-C aborts.
    """
    if user_only and kernel_only:
        raise UsageError("-U and -K leave nothing to show", "use one of them, or none")
    if verify and cpu_only:
        raise UsageError(
            "--cpu-only leaves --verify nothing to compare", "use one of them, or none"
        )
    destination = parse_destination(output, format, as_json)
    with ProgressLine(sys.stderr, quiet or list_probes) as line:
        line.prepare("looking at this machine")
        if list_probes:
            from profiler.cli import probe_list

            _require_able_host()
            probe_list.list_probes(pid, verify)
            return
        from profiler.sampling.sampling_programs import compile_sampling

        # The compiler runs while the rest is imported and this machine is looked at.
        with closing(compile_sampling(kernel_frames=not user_only)) as compilation:
            _require_able_host()
            from profiler.cli import profiling
            from profiler.record.preparation.sampling import Options

            options = Options(
                duration_ns=round(duration * 1e9),
                frequency_hz=frequency,
                budget_ratio=None if budget == float("inf") else budget,
                lookups=not cpu_only,
                kernel_frames=not user_only,
                user_frames=not kernel_only,
                command=tuple(sys.argv),
                symbols=symbols,
                verify=verify,
            )
            profiling.profile(
                pid, options, compilation, destination, line, as_json, full, quiet, strict
            )


def _require_able_host() -> None:
    """Raise ProfilerError where this machine cannot run the profiler."""
    from profiler.doctor.checks import checks, require
    from profiler.doctor.facts import read_facts

    require(checks(read_facts()))


@commands.command()
@click.argument("recording", type=click.Path(path_type=Path), required=False)
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    help="Write all files again into this folder, or one into this file; as for 'asterisk'.",
)
@FORMAT
@click.option("--json", "as_json", is_flag=True, help="Print profile.json instead of the report.")
@FULL
@click.option(
    "--symbols",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with more debug symbol files, found by build id.",
)
def report(
    recording: Path | None,
    output: str | None,
    format: str | None,
    as_json: bool,
    full: bool,
    symbols: Path | None,
) -> None:
    """Show a RECORDING again; needs no root and no target.

    It is a file or a folder of results, or what 'leaks -o FILE' wrote; without one, the newest in
    the current folder is shown.
    Debug symbols that were installed meanwhile name what was unnamed or inferred.
    """
    destination = parse_destination(output, format, as_json)
    from profiler.cli import reports

    reports.report(recording, destination, symbols, as_json, full)


@commands.command(name="diff")
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    help="Write FILE.svg (flame graph, red is more), FILE.html or FILE.json instead.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of the text.")
def diff_command(before: Path, after: Path, output: str | None, as_json: bool) -> None:
    """Show what changed between two recordings, per second of each."""
    destination = parse_destination(None if output == "-" else output, None)
    if as_json and destination is not None:
        raise UsageError("--json prints, and -o writes a file", "-o FILE.json")
    from profiler.cli import differences

    differences.show(before, after, destination, as_json)


@commands.command(epilog=EXIT_CODES)
@click.option("-p", "--pid", type=click.IntRange(min=1), help="Process to look at.")
@click.option("--every", type=Duration(), help="Look again and again, so far apart: 1s.")
@click.option("--count", type=click.IntRange(min=1), help="With --every: end after N pictures.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one line for each picture.")
@click.option("--check", is_flag=True, help="Print one line, and exit with 10 or 11 if it is bad.")
@click.option(
    "--stuck",
    type=Duration(),
    default="5s",
    show_default=True,
    help="Who waits so long for a lock is stuck.",
)
@SYMBOLS
def waits(
    pid: int | None,
    every: float | None,
    count: int | None,
    as_json: bool,
    check: bool,
    stuck: float,
    symbols: str | None,
) -> None:
    """Show which threads wait for which locks, and who has them: deadlocks first.

    Asterisk is neither stopped nor changed; nothing is written to it, and no probe is placed.
    """
    if check and (every is not None or as_json):
        raise UsageError("--check prints one line", "use it without --every and --json")
    if count is not None and every is None:
        raise UsageError("--count needs a distance in time", f"add --every 1s --count {count}")
    from profiler.cli import waits as shown

    if check:
        sys.exit(shown.check(pid, symbols, round(stuck * 1e9)))
    every_ns = None if every is None else round(every * 1e9)
    shown.show(pid, symbols, every_ns, count, round(stuck * 1e9), as_json)


@commands.command()
@click.option("-p", "--pid", type=click.IntRange(min=1), help="Process to look at.")
@click.option(
    "-d", "--duration", type=Duration(), default="2m", show_default=True, help="10m, 90s, 90."
)
@BUDGET
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    help="Write what was followed into this file, FILE.leaks: 'report' shows it again.",
)
@SYMBOLS
@click.option("--show-keys", is_flag=True, help="Show names of objects in full, not with N.")
@click.option("--json", "as_json", is_flag=True, help="For programs: see docs/leaks.schema.json.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
def leaks(
    pid: int | None,
    duration: float,
    budget: float,
    output: str | None,
    symbols: str | None,
    show_keys: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Show which objects are never freed.

    Objects are followed from their birth: every reference that is taken or given back. Asterisk is
    neither stopped nor changed.
    """
    destination = parse_recording(output)
    with ProgressLine(sys.stderr, quiet) as line:
        line.prepare("looking at this machine")
        _require_able_host()
        from profiler.cli import leaks as shown
        from profiler.record.leaks_recorder import LeaksOptions

        options = LeaksOptions(
            duration_ns=round(duration * 1e9),
            budget_ratio=None if budget == float("inf") else budget,
            command=tuple(sys.argv),
            symbols=symbols,
            show_keys=show_keys,
        )
        shown.leaks(pid, options, destination, line, as_json)


@commands.command()
def doctor() -> None:
    """Check at once whether this host can run the profiler, and say what helps."""
    from profiler import disk_cache
    from profiler.doctor.checks import checks, exit_code
    from profiler.doctor.facts import read_facts, try_compiler
    from profiler.doctor.text import render

    disk_cache.switch_off()
    found = checks(read_facts(try_compiler))
    write_out(render, found)
    sys.exit(exit_code(found))


@commands.command(name="completion")
@click.argument("shell", type=click.Choice(SHELLS))
def completion_command(shell: str) -> None:
    """Print what completes commands and options in a shell.

    For bash or zsh, add this line to ~/.bashrc or ~/.zshrc: eval "$(ebpf-prof completion bash)".
    For fish: ebpf-prof completion fish > ~/.config/fish/completions/ebpf-prof.fish
    """
    from profiler.cli import completion

    _print(completion.script(commands, _COMPLETION, shell))


@commands.command()
@click.pass_context
def man(context: click.Context) -> None:
    """Print this help as a man page: ebpf-prof man | man -l -"""
    from profiler.cli import manual

    assert context.parent is not None
    _print(manual.render(context.parent, __version__))


def _print(text: str) -> None:
    write_out(lambda value, out: out.write(f"{value.rstrip()}\n"), text)


def main() -> None:
    """Run the command line and exit."""
    gc.set_threshold(_NEW_OBJECTS)
    open_missing()
    leave(run(_invoke, sys.stderr))


def _invoke() -> None:
    """Run what the arguments say, without what click's own main() does about errors."""
    if instruction := os.environ.get(_COMPLETION):
        from profiler.cli import completion

        sys.exit(completion.answer(commands, _COMPLETION, instruction))
    with (
        suppress(click.exceptions.Exit),  # of --help and --version
        commands.make_context("ebpf-prof", sys.argv[1:]) as context,
    ):
        commands.invoke(context)
