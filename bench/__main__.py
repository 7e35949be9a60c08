"""`python -m bench NAME` prints one table, `python -m bench all --markdown` writes them all."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from bench.tables import Table, replace_between
from lab.instance import Options, start

NAMES = ("budget", "counting", "sampling", "latency")
DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "overhead.md"


def _write(table: Table) -> None:
    text = DOCUMENT.read_text()
    DOCUMENT.write_text(replace_between(text, table.name, table.markdown()))


def main() -> None:
    """Run the benchmarks that the command line names, in an Asterisk of their own."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("name", choices=(*NAMES, "all"))
    parser.add_argument("--markdown", action="store_true", help=f"write into {DOCUMENT.name}")
    parser.add_argument("--asterisk", choices=("16", "22"), default="16")
    arguments = parser.parse_args()
    names = NAMES if arguments.name == "all" else (arguments.name,)
    with start(Options(arguments.asterisk, name="bench").complete()) as instance:
        for name in names:
            table: Table = importlib.import_module(f"bench.{name}").run(instance)
            print(table.text(), flush=True)
            if arguments.markdown:
                _write(table)


if __name__ == "__main__":
    main()
