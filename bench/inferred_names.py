"""How many inferred names are right: strips Asterisk files that have symbols, infers, compares.

    python bench/inferred_names.py main/asterisk apps/*.so channels/*.so ...

Counts static functions only, since exported ones keep their names. A name is right when it is the
symbol's, without the suffixes of the compiler's clones (.constprop.0, .isra.0, .part.0). Roles of
container callbacks (cmp_fn@creator) are no names and are counted apart.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from profiler.binary.code_image import CodeImage
from profiler.binary.elf import Elf
from profiler.binary.functions import functions
from profiler.binary.symtab import SymbolTable, read_dynsym, read_symtab
from profiler.names.inferred import InferredNames


def names_by_address(table: SymbolTable | None) -> dict[int, set[str]]:
    """Return the names of the functions in a symbol table."""
    found: dict[int, set[str]] = defaultdict(set)
    if table is None:
        return {}
    for index in table.functions():
        found[table.values[index]].add(table.name(index).split(".")[0])
    return found


def inferred(path: Path) -> Iterator[tuple[set[str], str | None]]:
    """Yield (true names, inferred name or None) of every static function of an unstripped file."""
    truth = names_by_address(read_symtab(Elf.from_bytes(path.read_bytes())))
    if not truth:
        raise SystemExit(f"{path}: has no symbols")
    with tempfile.NamedTemporaryFile() as copy:
        subprocess.run(["strip", "-o", copy.name, path], check=True)
        elf = Elf.from_bytes(Path(copy.name).read_bytes())
    exported = names_by_address(read_dynsym(elf))
    table = functions(elf)
    names = InferredNames(CodeImage(elf, table))
    for start in table.starts:
        if start in truth and start not in exported:
            yield truth[start], names.name(start)


def main() -> None:
    """Print the counts, and every name that is wrong."""
    counts: Counter[str] = Counter()
    for path in map(Path, sys.argv[1:]):
        for true, name in inferred(path):
            counts["static"] += 1
            if name is None:
                counts["unnamed"] += 1
            elif "@" in name:
                counts["role"] += 1
            else:
                counts["right" if name[1:] in true else "wrong"] += 1
                if name[1:] not in true:
                    print(f"wrong: {path.name} {name} is {min(true)}")
    given = counts["right"] + counts["wrong"]
    print(dict(counts))
    if given:
        print(f"right {counts['right'] / given:.4f} of {given} names")


if __name__ == "__main__":
    main()
