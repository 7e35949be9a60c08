"""What is said when the library that BCC is made of cannot be loaded."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from profiler.errors import KernelError
from profiler.linux import bcc


def test_a_library_that_cannot_be_loaded_is_an_error_of_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "libLLVM-14.so.1: failed to map segment from shared object"
    (tmp_path / "bcc").mkdir()
    (tmp_path / "bcc" / "__init__.py").write_text(f"raise OSError({said!r})\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "bcc"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(KernelError, match="BCC's library cannot be loaded: libLLVM") as caught:
        bcc._import_bcc()
    assert "libbpfcc" in caught.value.hint
