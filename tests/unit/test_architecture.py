"""The rules of docs/architecture.md that a machine can check."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "profiler"
MODULES = sorted(PACKAGE.rglob("*.py"))
MAX_LINES = 400


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def importers(package: str) -> set[str]:
    return {
        path.relative_to(PACKAGE).as_posix()
        for path in MODULES
        if any(name.split(".")[0] == package for name in imports(path))
    }


def test_the_package_is_found() -> None:
    assert len(MODULES) > 50


def test_bcc_has_one_door() -> None:
    # host.py only looks whether it is there.
    assert importers("bcc") <= {"kernel.py", "host.py"}
    assert "kernel.py" in importers("bcc")


def test_click_has_one_door() -> None:
    assert importers("click") == {"cli.py", "click_types.py"}


def test_rich_has_one_door() -> None:
    assert importers("rich") == {"renderers/text.py"}


def test_renderers_see_profiles_only() -> None:
    allowed = {
        "profiler.model.profile",
        "profiler.model.recording",
        "profiler.report.difference",
        "profiler.files.serializer",
    }
    for path in (PACKAGE / "renderers").glob("*.py"):
        for name in imports(path):
            if name.startswith("profiler") and not name.startswith("profiler.renderers"):
                assert name in allowed | {"profiler"}, f"{path.name} imports {name}"


def test_pure_stages_touch_no_process() -> None:
    for name in ("aggregate", "findings", "distributions", "estimates", "roles", "frame_names"):
        path = PACKAGE / f"{name}.py"
        touched = set(imports(path)) & {"os", "subprocess", "ctypes", "profiler.linux.bcc"}
        assert not touched, f"{name}.py imports {touched}"


def test_every_room_has_its_row_in_the_description() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    described = set(re.findall(r"^\| `([a-z]+)` \|", text, re.MULTILINE))
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert rooms and rooms <= described


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_no_module_is_long(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_dataclasses_of_values_are_slotted(path: Path) -> None:
    for line in re.findall(r"@dataclass\([^)]*\)|@dataclass$", path.read_text(), re.MULTILINE):
        assert "slots=True" in line
