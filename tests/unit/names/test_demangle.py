from __future__ import annotations

import pytest

from profiler.names import demangle as module
from profiler.names.demangle import demangle


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("_ZN3foo3barEi", "foo::bar(int)"),
        (
            "_ZNSt6vectorIiSaIiEE9push_backEOi",
            "std::vector<int, std::allocator<int> >::push_back(int&&)",
        ),
        ("main", "main"),
        ("", ""),
        ("_Z1f\u00e9", "_Z1f\u00e9"),
        ("_Z512" + "f" * 507, "_Z512" + "f" * 507),
        ("_Z506" + "f" * 506 + "v", "f" * 506 + "()"),
        ("_Znot_a_name", "_Znot_a_name"),
        ("_ZN" + "1a" * 300 + "E", "_ZN" + "1a" * 300 + "E"),
        ("_Z1fP1A" + "S0_" * 24, f"f({', '.join(['A*'] * 25)})"),
        ("_Z1fP1A" + "S0_" * 25, "_Z1fP1A" + "S0_" * 25),
        ("_Z1fIS_" + "S_" * 40, "_Z1fIS_" + "S_" * 40),
    ],
)
def test_cpp_names_are_readable_unless_they_could_explode(name: str, shown: str) -> None:
    assert demangle(name) == shown


def test_without_the_library_names_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_library", lambda: None)
    assert demangle.__wrapped__("_Z3barv") == "_Z3barv"
