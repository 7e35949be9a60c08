"""What pip installs: the whole package, which finds its parts wherever they are put."""

from __future__ import annotations

import email
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import textwrap
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from profiler import __version__

ROOT = Path(__file__).resolve().parents[2]
BUILD = "import sys; from setuptools import build_meta; getattr(build_meta, sys.argv[1])('dist')"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a copy of what the package is built from."""
    return copied(tmp_path / "tree")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel of the package as it is."""
    return build(copied(tmp_path_factory.mktemp("wheel") / "tree"), "wheel")


def copied(copy: Path) -> Path:
    ignore = shutil.ignore_patterns("__pycache__")
    for folder in ("profiler", "bpf", "docs"):
        shutil.copytree(ROOT / folder, copy / folder, symlinks=True, ignore=ignore)
    for file in ("pyproject.toml", "setup.cfg", "README.md", "CHANGELOG.md", "LICENSE"):
        shutil.copy2(ROOT / file, copy)
    return copy


def build(tree: Path, kind: str) -> Path:
    """Build an sdist or a wheel and return it."""
    command = [sys.executable, "-c", BUILD, f"build_{kind}"]
    subprocess.run(command, cwd=tree, check=True, capture_output=True)
    (built,) = (tree / "dist").iterdir()
    return built


def package_files(tree: Path) -> Iterator[str]:
    for folder, _, files in os.walk(tree / "profiler", followlinks=True):
        yield from (str((Path(folder) / name).relative_to(tree)) for name in files)


def wheel_files(wheel: Path) -> list[str]:
    names = zipfile.ZipFile(wheel).namelist()
    return sorted(name for name in names if ".dist-info/" not in name)


def test_a_wheel_built_from_the_sdist_holds_every_file_of_the_package(tree: Path) -> None:
    shutil.unpack_archive(build(tree, "sdist"), tree / "unpacked")
    (unpacked,) = (tree / "unpacked").iterdir()
    assert wheel_files(build(unpacked, "wheel")) == sorted(package_files(tree))


def test_setuptools_that_reads_no_pyproject_builds_the_same_package(tree: Path) -> None:
    files = sorted(package_files(tree))
    (tree / "pyproject.toml").unlink()  # Ubuntu 22.04's looks there for nothing that we say
    wheel = build(tree, "wheel")
    assert wheel.name == f"ebpf_prof-{__version__}-py3-none-any.whl"
    assert wheel_files(wheel) == files


def test_the_package_holds_the_documents_and_says_what_it_is(wheel: Path) -> None:
    documents = {path.relative_to(ROOT) for path in (ROOT / "docs").rglob("*") if path.is_file()}
    names = {f"profiler/{path}" for path in (*documents, "CHANGELOG.md")}
    assert names <= set(wheel_files(wheel))
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read(f"ebpf_prof-{__version__}.dist-info/METADATA").decode()
    said = email.message_from_string(text)
    assert "Topic :: Communications :: Internet Phone" in said.get_all("Classifier", [])
    assert said["Requires-Python"] == ">=3.10"
    assert said.get_payload() == (ROOT / "README.md").read_text()


@pytest.mark.parametrize("way", ["venv", "user", "target"])
def test_an_installed_package_runs_and_finds_its_bpf_sources(
    wheel: Path, tmp_path: Path, way: str
) -> None:
    home, elsewhere = tmp_path / "venv", tmp_path / "elsewhere"
    venv.create(home, system_site_packages=True)  # which may be where dependencies are
    # Dependencies come from here; our own editable install does not, as no .pth is read.
    path = sysconfig.get_path("purelib")
    if way == "target":
        path = f"{elsewhere}:{path}"
    environment = {"PYTHONPATH": path, "PYTHONUSERBASE": str(elsewhere)}
    pip = [sys.executable, "-m", "pip", "--python", str(home / "bin/python")]
    options = ["--quiet", "--no-deps", "--no-index", "--no-compile", "--no-cache-dir"]
    place = {"venv": [], "user": ["--user"], "target": ["--target", str(elsewhere)]}[way]
    command = [*pip, "install", *options, *place, str(wheel)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONUSERBASE": str(elsewhere)})

    def said(*command: str | Path) -> str:
        return subprocess.check_output(command, cwd=tmp_path, env=environment, text=True).strip()

    script = (home if way == "venv" else elsewhere) / "bin/ebpf-prof"
    assert said(script, "--version") == f"ebpf-prof, version {__version__}"
    where = "from profiler.linux.bcc import bpf_directory; print(bpf_directory())"
    found = Path(said(home / "bin/python", "-c", where))
    assert found.is_relative_to(home if way == "venv" else elsewhere)
    sources = {path.relative_to(ROOT / "bpf") for path in (ROOT / "bpf").rglob("*")}
    assert {path.relative_to(found) for path in found.rglob("*")} == sources


# Where sudo looks: of Debian 12, and of RHEL 9 (secure_path in their sudoers).
SECURE_PATHS = (
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "/sbin:/bin:/usr/sbin:/usr/bin",
)
SUDO = """#!/bin/sh
[ "$1" = apt-get ] || PATH={bin}:/usr/bin:/bin exec "$@"
"""


def commands_after(document: str, begin: str) -> str:
    """Return the block of commands of a document whose first line begins like that."""
    text = (ROOT / document).read_text()
    block = text[text.index(f"    {begin}") :].split("\n\n")[0]
    return textwrap.dedent(block)


def test_what_the_readme_says_installs_and_removes_it(tree: Path, tmp_path: Path) -> None:
    install = commands_after("README.md", "sudo apt-get install -y python3-bpfcc")
    remove = commands_after("README.md", "sudo rm -rf /opt/ebpf-prof")
    for path in SECURE_PATHS:
        assert re.findall(r"ln -sf \S+ (\S+)/ ", install)[0] in path.split(":")
    places = {name: tmp_path / name.strip("/") for name in ("/opt/", "/usr/bin/", "/var/cache/")}
    for name, place in places.items():
        place.mkdir(parents=True)
        install, remove = (
            re.sub(rf"(?<![\w/]){name}(?!python3)", f"{place}/", text) for text in (install, remove)
        )
    (tmp_path / "sudo").write_text(SUDO.format(bin=places["/usr/bin/"]))
    (tmp_path / "sudo").chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:/usr/bin:/bin",
        "PYTHONPATH": sysconfig.get_path("purelib"),  # what pip would fetch
        "PIP_NO_DEPS": "1",
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip takes this for its opposite
    }

    def pasted(text: str) -> str:
        text = text.replace("ebpf-prof doctor", "ebpf-prof --version")
        return subprocess.run(
            ["bash"],
            input=text,
            cwd=tree,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    assert pasted(install).endswith(f"ebpf-prof, version {__version__}\n")
    pasted(remove)
    assert [list(place.iterdir()) for place in places.values()] == [[], [], []]


def test_nobody_is_sent_to_an_index_where_the_name_is_not_ours() -> None:
    texts = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "profiler").rglob("*.py")]
    assert not [path for path in texts if re.search(r"install\s+ebpf.prof", path.read_text())]
