from __future__ import annotations

from profiler.asterisk.caller_signatures import CALLER_SIGNATURES, Signature


def test_every_name_is_listed_once_with_distinct_positions() -> None:
    for name, signature in CALLER_SIGNATURES.items():
        assert len(set(signature.positions)) == 3, name
        assert signature.positions == tuple(sorted(signature.positions))


def test_well_known_prototypes() -> None:
    # ast_log(level, file, line, function, ...); __ao2_lock(object, how, file, function, line, ...)
    assert CALLER_SIGNATURES["ast_log"] == Signature(1, 2, 3)
    assert CALLER_SIGNATURES["__ao2_lock"] == Signature(2, 4, 3)
    # __ao2_find(container, argument, flags, tag, file, line, function)
    assert CALLER_SIGNATURES["__ao2_find"] == Signature(4, 5, 6)
    # __ao2_container_alloc_hash(..., tag, file, line, function)
    assert CALLER_SIGNATURES["__ao2_container_alloc_hash"] == Signature(7, 8, 9)
