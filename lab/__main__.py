"""The lab's command line: python3 -m lab up|down|status|cli|pid|upgrade|traffic|fetch|kernel."""

import argparse
import json
import os
import sys

from lab import forget, guest, instance, kernels, root
from lab import traffic as sip
from lab.errors import LabError
from lab.instance import Instance, Options


def describe(running: Instance) -> str:
    """Return one line about an instance."""
    options = running.options
    if not running.running:
        return f"{running.name}: not running"
    binary = "packaged binary"
    if options.buckets is not None:
        binary = f"MODIFIED COPY of the packaged binary: {options.buckets} taskprocessor buckets"
    if options.forgets:
        release = forget.RELEASES[options.version]
        binary += f", MODIFIED COPY of {release.module}: each REGISTER leaks {release.what}"
    return (
        f"{running.name}: Asterisk {options.version}, pid {running.pid}, "
        f"SIP 127.0.0.1:{running.sip_port}/udp, {running.taskprocessor_count()} taskprocessors, "
        f"{binary}"
    )


def up(arguments: argparse.Namespace) -> int:
    """Start an instance and say how to reach it."""
    started = instance.start(
        Options(
            arguments.version,
            arguments.name,
            arguments.buckets,
            arguments.taskprocessors,
            arguments.endpoints,
            arguments.namespaces,
            arguments.forgets,
        )
    )
    print(describe(started))
    print(f"console: python3 -m lab cli {started.name} 'core show uptime'")
    return 0


def fetch(arguments: argparse.Namespace) -> int:
    """Unpack the packages now, so that nothing has to be downloaded later."""
    for kind in root.KINDS if arguments.kind == "all" else [arguments.kind]:
        print(f"{kind}: {root.ensure(kind)}")
    return 0


def down(arguments: argparse.Namespace) -> int:
    """Stop one instance, or all."""
    chosen = instance.read_all() if arguments.name == "all" else [instance.find(arguments.name)]
    for one in chosen:
        one.stop()
        print(f"{one.name}: stopped")
    if arguments.name == "all":
        instance.sweep()
    return 0


def status(_arguments: argparse.Namespace) -> int:
    """List the instances."""
    for one in instance.read_all():
        print(describe(one))
    return 0


def cli(arguments: argparse.Namespace) -> int:
    """Print what an instance's console answers."""
    print(instance.find(arguments.name).cli(" ".join(arguments.words)), end="")
    return 0


def pid(arguments: argparse.Namespace) -> int:
    """Print an instance's pid."""
    print(instance.find(arguments.name).pid)
    return 0


def upgrade(arguments: argparse.Namespace) -> int:
    """Replace an instance's binary on disk."""
    instance.find(arguments.name).upgrade()
    return 0


def traffic(arguments: argparse.Namespace) -> int:
    """Send SIP traffic; return 1 when a call failed."""
    summary = sip.run(arguments.kind, instance.find(arguments.to), arguments.rate, arguments.count)
    print(json.dumps(summary.as_dict()))
    return 0 if summary.complete else 1


def kernel(arguments: argparse.Namespace) -> int:
    """Run a command under another kernel; return its exit code."""
    ran = guest.run(arguments.version, arguments.words, arguments.seconds)
    print(ran.output, end="")
    return ran.code


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = argparse.ArgumentParser(prog="lab", description="A real Asterisk to profile.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    add = commands.add_parser("up", help="start an Asterisk")
    add.add_argument("version", choices=("16", "22"))
    add.add_argument("--name", default="", help="name of the instance (default: the version)")
    add.add_argument("--buckets", type=int, help="change the taskprocessors' number of buckets")
    add.add_argument("--taskprocessors", type=int, default=0, help="leak up to this many")
    add.add_argument("--endpoints", "--peers", type=int, help="endpoints in the configuration")
    add.add_argument("--namespaces", action="store_true", help="in new mount and pid namespaces")
    add.add_argument("--forgets", action="store_true", help="leak a reference at each REGISTER")
    add.set_defaults(run=up)

    add = commands.add_parser("fetch", help="download and unpack only")
    add.add_argument("kind", nargs="?", choices=[*root.KINDS, "all"], default="all")
    add.set_defaults(run=fetch)

    add = commands.add_parser("down", help="stop an instance and remove its files")
    add.add_argument("name", nargs="?", default="all")
    add.set_defaults(run=down)

    add = commands.add_parser("status", help="list the instances")
    add.set_defaults(run=status)

    add = commands.add_parser("cli", help="run a command on an instance's console")
    add.add_argument("name")
    add.add_argument("words", nargs="+")
    add.set_defaults(run=cli)

    for name, action, text in (
        ("pid", pid, "print an instance's pid"),
        ("upgrade", upgrade, "replace an instance's binary on disk while it runs"),
    ):
        add = commands.add_parser(name, help=text)
        add.add_argument("name")
        add.set_defaults(run=action)

    add = commands.add_parser("traffic", help="send SIP traffic to an instance and count")
    add.add_argument("kind", choices=sip.KINDS)
    add.add_argument("--rate", type=float, default=50, help="per second")
    add.add_argument("--count", type=int, default=500)
    add.add_argument("--to", default="16", help="name of the instance")
    add.set_defaults(run=traffic)

    add = commands.add_parser("kernel", help="run a command under another kernel, in qemu")
    add.add_argument("version", choices=kernels.SOURCES)
    add.add_argument("--seconds", type=float, default=300, help="end it when it takes longer")
    add.add_argument("words", nargs="+", metavar="command")
    add.set_defaults(run=kernel)
    return top


def main() -> int:
    """Run one command and return the exit code."""
    arguments = parser().parse_args()
    try:
        if os.geteuid() != 0:
            raise LabError("the lab needs root (chroot, device nodes)", "sudo python3 -m lab ...")
        code: int = arguments.run(arguments)
    except LabError as error:
        print(f"lab: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
