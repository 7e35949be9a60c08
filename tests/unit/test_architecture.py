"""The rules of docs/architecture.md that a machine can check."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "profiler"
MODULES = sorted(PACKAGE.rglob("*.py"))
MAX_LINES = 400
# Dataclasses that change, and why.
MUTABLE = {
    "Run": "what a running recording holds changes while it runs",
    "Stop": "a signal handler sets it",
    "_Sums": "tasks are added up",
    "_Thread": "what a thread ran is added up",
    "ObservedObject": "changes as events come in",
    "SizedContainer": "collects sizes",
    "_Evidence": "collects while code is read",
    "_Sum": "adds up waits one by one",
    "FunctionTrace": "collects while a function is followed",
}


# Who may import whom, for every module; those of FOR_ALL may be imported by all.
ROOMS = {
    "wire": "",
    "model": "wire",
    "linux": "",
    "binary": "",
    "process": "linux binary model",
    "process/threads": "process linux binary model",
    "process/sockets": "process model",
    "unwind": "process/threads process linux binary wire model",
    "asterisk": "process binary model wire",
    "names": "asterisk process binary model",
    "waits": "names unwind asterisk process/threads process linux binary wire model",
    "probes": "asterisk process binary linux wire model",
    "estimate": "model wire",
    "windows": "probes process linux wire model",
    "offcpu": "windows waits unwind asterisk process/threads process linux wire model",
    "tasks": "windows probes asterisk process binary linux wire model",
    "links": "windows probes process binary linux wire model",
    "sampling": "windows unwind process/threads process linux wire model",
    "counting": "windows estimate probes asterisk process linux wire model",
    "leaks": "windows unwind probes asterisk process binary linux wire model",
    "record/collection": "counting windows probes asterisk process/sockets process wire model",
    "record/preparation": "record/collection counting sampling offcpu tasks links windows names "
    "probes unwind asterisk process/threads process/sockets process binary linux model",
    "record/assembly": "record/preparation record/collection sampling offcpu leaks waits names "
    "estimate probes unwind asterisk process linux wire model",
    "record": "record/assembly record/preparation record/collection counting sampling leaks "
    "windows names probes unwind asterisk process/threads process/sockets process linux model",
    "findings": "model",
    "report/basics": "model",
    "report/threads": "report/basics model",
    "report/waits": "report/threads report/basics findings model",
    "report/references": "model",
    "report/leaks": "report/references report/basics model",
    "report": "report/waits report/threads report/basics findings model",
    "files": "model",
    "renderers/assets": "",
    "renderers/words": "files model",
    "renderers/graphs": "renderers/words renderers/assets model",
    "renderers/page": "renderers/graphs renderers/words files model",
    "renderers/terminal": "renderers/words files model",
    "renderers/exports": "renderers/page renderers/graphs renderers/words files model",
    "doctor": "sampling probes process/threads process/sockets process linux",
}
FOR_ALL = {"background", "disk_cache", "errors", "libc"}

# Modules without a file of tests of their own in tests/unit, and where else they are tested.
TESTED_ELSEWHERE = {
    **dict.fromkeys(
        ("tasks/programs.py", "tasks/measurement.py", "record/preparation/tasks.py"),
        "tests/live/test_tasks.py sees tasks of a real Asterisk through them",
    ),
    **dict.fromkeys(
        ("links/programs.py", "links/measurement.py", "record/preparation/links.py"),
        "tests/bpf/test_link_programs.py and tests/live/test_links.py count real links",
    ),
    "leaks/measurement.py": "tests/live/test_leaks.py follows objects of real Asterisks",
    "leaks/programs.py": "tests/live/test_leaks.py does so in every way to attach",
    "record/leaks_recorder.py": "tests/live/test_leaks.py begins and ends such recordings",
    "__main__.py": "tests/unit/cli/test_commands.py and tests/live start it as users do",
    "offcpu/switches.py": "tests/bpf/test_off_cpu.py sees real waits",
    "offcpu/measurement.py": "tests/bpf/test_off_cpu.py measures real waits",
    "linux/probe_keeper.py": "tests/bpf/test_keeper.py kills it while real probes come and go",
}


def imports(path: Path) -> Iterator[str]:
    """Yield the module that each import of a file names."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(path: Path) -> str:
    """Return the innermost package of a module, or the module where it stands in none."""
    return room_of_parts(path.relative_to(PACKAGE).with_suffix("").parts)


def room_of_parts(parts: tuple[str, ...]) -> str:
    return "/".join(parts[:2]) if "/".join(parts[:2]) in ROOMS else parts[0]


def test_every_room_is_in_the_table_and_nothing_stands_outside() -> None:
    assert {room_of(path) for path in MODULES} == {
        *ROOMS,
        *FOR_ALL,
        "cli",
        "renderers",  # whose modules stand in rooms of their own
        "__init__",
        "__main__",
    }


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_modules_import_only_what_their_room_may(path: Path) -> None:
    room = room_of(path)
    if room in ("cli", "__main__"):  # these may import anything
        return
    allowed = {room, "__version__", *FOR_ALL, *ROOMS.get(room, "").split()}
    named = {
        room_of_parts(tuple(name.split(".")[1:]))
        for name in imports(path)
        if name.startswith("profiler.")
    }
    assert named <= allowed


def test_no_two_rooms_need_each_other() -> None:
    seen: set[str] = set()
    for room, needed in ROOMS.items():
        assert set(needed.split()) <= seen, f"{room} stands before what it needs"
        seen.add(room)


@pytest.mark.parametrize(
    "module", ["profiler.findings.ranking", "profiler.renderers.terminal.text"]
)
def test_values_need_neither_bcc_nor_pyroute2(module: str) -> None:
    code = f"import sys, {module}; print({{'bcc', 'pyroute2'}} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"


# What takes long to import, and must not be there yet when these modules are: the command line,
# what checks the host, and all that is needed until a recording has begun.
LATER = {
    "profiler.cli.commands": "bcc iced_x86 pyroute2 rich urllib.request profiler.linux "
    "profiler.asterisk profiler.counting profiler.model profiler.renderers profiler.report",
    "profiler.doctor.facts": "bcc iced_x86 multiprocessing pyroute2 rich urllib.request "
    "profiler.record profiler.renderers profiler.report",
    "profiler.cli.profiling": "bcc multiprocessing pyroute2 rich urllib.request "
    "profiler.renderers profiler.report",
}


@pytest.mark.parametrize("module", LATER)
def test_what_takes_long_is_imported_later(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert module in loaded
    assert not loaded & set(LATER[module].split())


def has_functions(path: Path) -> bool:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return any(isinstance(node, kinds) for node in ast.walk(ast.parse(path.read_text())))


def test_every_module_with_functions_has_tests_of_its_name() -> None:
    untested = {
        module.as_posix()
        for module in (path.relative_to(PACKAGE) for path in MODULES if has_functions(path))
        if not (ROOT / "tests/unit" / module.parent / f"test_{module.name}").is_file()
    }
    assert untested == set(TESTED_ELSEWHERE)


def importers(package: str) -> set[str]:
    return {
        path.relative_to(PACKAGE).as_posix()
        for path in MODULES
        if any(name.split(".")[0] == package for name in imports(path))
    }


DOORS = {
    "bcc": {"linux/bcc.py"},
    "click": {
        f"cli/{name}.py" for name in ("commands", "completion", "errors", "manual", "options")
    },
    "iced_x86": {"binary/instructions.py"},
    "pyroute2": {"process/sockets/sock_diag.py"},
    "rich": {"renderers/terminal/text.py"},
}


@pytest.mark.parametrize("package", DOORS)
def test_a_package_has_few_doors(package: str) -> None:
    assert importers(package) == DOORS[package]


def test_pure_stages_touch_no_process() -> None:
    for path in (*(PACKAGE / "report").rglob("*.py"), *(PACKAGE / "estimate").glob("*.py")):
        touched = {name.split(".")[0] for name in imports(path)} & {"os", "subprocess", "ctypes"}
        assert not touched, f"{path.name} imports {touched}"


def test_every_room_has_its_row_in_the_description() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    described = set(re.findall(r"^\| `([a-z/]+)` \|", text, re.MULTILINE))
    rooms = {
        path.parent.relative_to(PACKAGE).as_posix() for path in PACKAGE.glob("*/**/__init__.py")
    }
    assert rooms and rooms <= described


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_no_module_is_long(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES


def dataclass_options(path: Path) -> Iterator[tuple[str, set[str]]]:
    """Yield the name and the options that are on, of each dataclass of a module."""
    for node in ast.walk(ast.parse(path.read_text())):
        for decorator in node.decorator_list if isinstance(node, ast.ClassDef) else ():
            call = decorator if isinstance(decorator, ast.Call) else ast.Call(decorator, [], [])
            if isinstance(node, ast.ClassDef) and ast.unparse(call.func).endswith("dataclass"):
                yield node.name, {option.arg or "" for option in call.keywords if is_true(option)}


def is_true(option: ast.keyword) -> bool:
    return isinstance(option.value, ast.Constant) and option.value.value is True


DATACLASSES = [(path.stem, *found) for path in MODULES for found in dataclass_options(path)]


@pytest.mark.parametrize(("module", "name", "options"), DATACLASSES)
def test_dataclasses_are_frozen_and_slotted(module: str, name: str, options: set[str]) -> None:
    assert options >= ({"slots"} if name in MUTABLE else {"frozen", "slots"})


def test_only_what_changes_is_listed_as_mutable() -> None:
    changing = {name for _, name, options in DATACLASSES if "frozen" not in options}
    assert changing == MUTABLE.keys()
