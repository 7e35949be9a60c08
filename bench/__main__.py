"""`python -m bench NAME` prints one table, `python -m bench all --markdown` writes them all."""

from __future__ import annotations

import argparse
import importlib
from dataclasses import replace
from pathlib import Path

from bench.tables import Table, replace_between
from lab.instance import start

NAMES = ("budget", "story", "counting", "sampling", "latency", "tool")
DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "overhead.md"


def _write(table: Table) -> None:
    text = DOCUMENT.read_text()
    DOCUMENT.write_text(replace_between(text, table.name, table.markdown()))


def main() -> None:
    """Run the benchmarks that the command line names, each in an Asterisk of its own."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("name", choices=(*NAMES, "all"))
    parser.add_argument("--markdown", action="store_true", help=f"write into {DOCUMENT.name}")
    arguments = parser.parse_args()
    names = NAMES if arguments.name == "all" else (arguments.name,)
    for name in names:
        module = importlib.import_module(f"bench.{name}")
        with start(replace(module.ASTERISK, name=f"bench-{name}").complete()) as instance:
            table: Table = module.run(instance)
        print(table.text(), flush=True)
        if arguments.markdown:
            _write(table)


if __name__ == "__main__":
    main()
