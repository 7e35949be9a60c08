from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[1] / "inference"
BUILD_ID = "00112233445566778899aabbccddeeff00112233"


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """An Asterisk-like module with symbols; `module.stripped` lies beside it."""
    path = tmp_path / "module.so"
    flags = ("-shared", "-fPIC", "-O2", f"-Wl,--build-id=0x{BUILD_ID}")
    subprocess.run(["gcc", "-o", path, SOURCES / "module.c", *flags], check=True)
    subprocess.run(["strip", "-o", path.with_suffix(".stripped"), path], check=True)
    return path
