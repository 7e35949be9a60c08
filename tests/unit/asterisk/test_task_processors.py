"""Task processors found in memory that is made here: sound, damaged and hostile."""

from __future__ import annotations

from pathlib import Path

import pytest

from profiler.asterisk.task_processors import container_variable, task_processors
from tests.compiled import assemble
from tests.unit.asterisk.test_containers import (
    CONTAINER,
    HASH,
    NODES,
    Memory,
    is_code,
    memory,
    two,
    words,
)

VARIABLE = 0x5555_0000_9000
SECOND_NS = 1_000_000_000
INIT = """
FUNCTION ast_tps_init
    sub $8, %rsp
    {made}
    {stored}
    add $8, %rsp
    ret
END
FUNCTION __ao2_container_alloc_hash
    ret
END
FUNCTION other
    ret
END
.bss
.globl variable
.hidden variable
.type variable,@object
.size variable,8
variable: .quad 0
"""
MADE, STORED = "call __ao2_container_alloc_hash", "mov %rax, variable(%rip)"


def test_the_variable_is_that_in_which_the_container_is_stored(tmp_path: Path) -> None:
    image = assemble(tmp_path, INIT.format(made=MADE, stored=f"nop\n {STORED}"))
    found = container_variable(image)
    assert found is not None
    data = next(segment for segment in image.elf.segments if segment.flags == 6)
    assert found >= data.address


@pytest.mark.parametrize(
    ("made", "stored"),
    [("call other", STORED), (MADE, "nop"), (MADE, f"call other\n {STORED}"), ("nop", STORED)],
)
def test_what_stores_something_else_is_not_taken(tmp_path: Path, made: str, stored: str) -> None:
    assert container_variable(assemble(tmp_path, INIT.format(made=made, stored=stored))) is None


def processors(*chains: tuple[tuple[int, int], ...], elements: int = 5) -> Memory:
    """Lay out the container; each chain has (what a node holds, whose node it is)."""
    heads: list[int] = []
    nodes: dict[int, bytes] = {}
    for chain in chains:
        first = NODES + len(nodes) * 0x40
        for index, (held, owner) in enumerate(chain):
            at = first + index * 0x40
            following = at + 0x40 if index + 1 < len(chain) else 0
            nodes[at] = words(held, owner, 1, following)
        heads += [first if chain else 0, 0]
    made = memory(HASH, two(len(chains), 0), *heads, elements=elements)
    return Memory({VARIABLE: words(CONTAINER), **made.pieces, **nodes})


def test_all_chains_are_walked() -> None:
    sound = processors(((0xA0, CONTAINER), (0xB0, CONTAINER)), (), ((0xC0, CONTAINER),))
    count, found = task_processors(sound, VARIABLE, is_code, SECOND_NS)
    assert (count, sorted(found)) == (5, [0xA0, 0xB0, 0xC0])


def test_a_chain_ends_where_it_leaves_the_container() -> None:
    strange = processors(((0xA0, CONTAINER), (0xB0, CONTAINER + 8), (0xC0, CONTAINER)))
    assert task_processors(strange, VARIABLE, is_code, SECOND_NS)[1] == (0xA0,)


def test_emptied_nodes_hold_none() -> None:
    emptied = processors(((0, CONTAINER), (0xB0, CONTAINER)))
    assert task_processors(emptied, VARIABLE, is_code, SECOND_NS)[1] == (0xB0,)


def test_a_chain_in_a_circle_comes_to_an_end() -> None:
    circle = processors(((0xA0, CONTAINER),))
    circle.pieces[NODES] = words(0xA0, CONTAINER, 1, NODES)
    _, found = task_processors(circle, VARIABLE, is_code, 5_000_000)
    assert set(found) == {0xA0}


@pytest.mark.parametrize("pointer", [0, 0x10, CONTAINER + 0x40])
def test_without_a_container_there_are_none(pointer: int) -> None:
    wrong = processors(((0xA0, CONTAINER),))
    wrong.pieces[VARIABLE] = words(pointer)
    assert task_processors(wrong, VARIABLE, is_code, SECOND_NS) == (0, ())


def test_what_cannot_be_read_is_none() -> None:
    assert task_processors(Memory({}), VARIABLE, is_code, SECOND_NS) == (0, ())
