from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from profiler.names.kallsyms import MAX_FUNCTION_BYTES, Kallsyms, parse_kallsyms, read_kallsyms

TEXT = b"""\
ffffffff81000000 T _stext
ffffffff81000000 T startup_64
ffffffff81000040 t __startup_64
ffffffff81000200 D some_data
ffffffff81000300 W weak_one
ffffffffc0000000 t inside_module\t[nf_tables]
ffffffffc0000100 t bpf_prog_6deef7357e7b4530_test\t[bpf]
0000000000000000 A per_cpu_start
"""


def parsed() -> Kallsyms:
    found = parse_kallsyms(TEXT)
    assert found is not None
    return found


def test_address_belongs_to_the_function_before_it() -> None:
    names = parsed()
    assert names.lookup(0xFFFFFFFF81000041) == "__startup_64"
    assert names.lookup(0xFFFFFFFF81000250) == "__startup_64"
    assert names.lookup(0xFFFFFFFF81000300) == "weak_one"
    assert names.lookup(0xFFFFFFFFC0000008) == "inside_module"


def test_alias_with_fewest_underscores_is_shown() -> None:
    assert parsed().lookup(0xFFFFFFFF81000000) == "startup_64"


def test_address_far_from_any_function_has_no_name() -> None:
    names = parsed()
    assert names.lookup(0xFFFFFFFF80FFFFFF) is None
    last = 0xFFFFFFFF81000300
    assert names.lookup(last + MAX_FUNCTION_BYTES - 1) is not None
    assert names.lookup(last + MAX_FUNCTION_BYTES) is None


def test_hidden_addresses_give_no_names() -> None:
    assert parse_kallsyms(b"0000000000000000 T _stext\n0000000000000000 t f\n") is None
    assert parse_kallsyms(b"") is None
    assert read_kallsyms(Path("/nonexistent")) is None


@given(st.binary(max_size=300))
def test_any_text_is_survived(text: bytes) -> None:
    names = parse_kallsyms(text)
    if names is not None:
        names.lookup(0xFFFFFFFF81000041)


def test_running_kernel_is_read_in_one_go(tmp_path: Path) -> None:
    path = tmp_path / "kallsyms"
    path.write_bytes(TEXT)
    names = read_kallsyms(path)
    assert names is not None
    assert names.lookup(0xFFFFFFFFC0000100) == "bpf_prog_6deef7357e7b4530_test"


@given(st.lists(st.integers(1, (1 << 64) - 1), unique=True, min_size=1, max_size=9))
def test_lines_may_come_in_any_order(addresses: list[int]) -> None:
    names = parse_kallsyms(b"".join(b"%016x t f%x\n" % (each, each) for each in addresses))
    assert names is not None
    assert [names.lookup(each) for each in addresses] == [f"f{each:x}" for each in addresses]
