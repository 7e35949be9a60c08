"""`python -m bench NAME` prints one table, `python -m bench all --markdown` writes them all."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from bench.tables import Table, replace_between
from lab.instance import start

NAMES = (
    *("budget", "story", "counting", "sampling", "latency"),
    *("tool", "startup", "estimates", "following", "waits", "leaks"),
)
DOCS = Path(__file__).resolve().parent.parent / "docs"
DOCUMENT = "overhead.md"  # or what a benchmark says


def _write(table: Table, document: Path) -> None:
    document.write_text(replace_between(document.read_text(), table.name, table.markdown()))


def _run(name: str, module: ModuleType, settings: Mapping[str, object]) -> Table:
    """Run a benchmark in an Asterisk of its own, if it needs one."""
    arguments = []
    with ExitStack() as stack:
        if hasattr(module, "ASTERISK"):
            options = replace(module.ASTERISK, name=f"bench-{name}").complete()
            arguments.append(stack.enter_context(start(options)))
        table: Table = module.run(*arguments, **settings)
    return table


def main() -> None:
    """Run the benchmarks that the command line names, each in an Asterisk of its own."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("name", choices=(*NAMES, "all"))
    parser.add_argument("--markdown", action="store_true", help="write into docs")
    startup = parser.add_argument_group("startup, other situations than those of the table")
    startup.add_argument("--threads", type=int, nargs="*", help="runnable threads of the target")
    startup.add_argument("--others", type=int, nargs="*", help="other processes on each CPU")
    startup.add_argument("--turns", type=int, help="runs of each tool")
    arguments = parser.parse_args()
    settings = {name: getattr(arguments, name) for name in ("threads", "others", "turns")}
    settings = {name: value for name, value in settings.items() if value is not None}
    if settings and arguments.name != "startup":
        parser.error(f"only startup has --{' and --'.join(settings)}")
    names = NAMES if arguments.name == "all" else (arguments.name,)
    for name in names:
        module = importlib.import_module(f"bench.{name}")
        table = _run(name, module, settings)
        print(table.text(), flush=True)
        if arguments.markdown:
            _write(table, DOCS / getattr(module, "DOCUMENT", DOCUMENT))


if __name__ == "__main__":
    main()
