"""The cache of built modules."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab import module


def test_modules_of_other_sources_are_kept_for_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EBPF_PROF_LAB", str(tmp_path))
    monkeypatch.setattr(module, "build", lambda packages, target: target.touch())
    modules = tmp_path / "modules"
    modules.mkdir()
    for name in ("16-old", "16-new", "22-old"):
        (modules / f"{name}-groundtruth.so").touch()
        if name.endswith("old"):
            os.utime(modules / f"{name}-groundtruth.so", (0, 0))
    built = module.ensure("16", tmp_path)
    kept = {"16-new-groundtruth.so", "22-old-groundtruth.so", built.name}
    assert {path.name for path in modules.iterdir()} == kept
