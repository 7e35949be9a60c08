import threading
import time
from pathlib import Path

import pytest

from lab import root
from lab.errors import LabError
from lab.root import Kind


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EBPF_PROF_LAB", str(tmp_path))


def test_libraries_are_the_first_alternatives_that_are_libraries() -> None:
    control = (
        "Package: asterisk\n"
        "Depends: adduser, libc6 (>= 2.31), libssl1.1 (>= 1.1.1) | libssl3, perl:any,\n"
        "Depends-not: libnot\n"
    )
    assert root.parse_libraries(control) == ("libc6", "libssl1.1")


def test_a_package_without_dependencies_has_no_libraries() -> None:
    assert root.parse_libraries("Package: x\n") == ()


def test_two_that_need_a_root_at_once_unpack_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked: list[str] = []

    def unpack(kind: Kind, target: Path) -> None:
        unpacked.append(kind.name)
        time.sleep(0.05)
        target.mkdir(parents=True)
        (target / root.STAMP).write_text("{}")

    monkeypatch.setattr(root, "unpack", unpack)
    threads = [threading.Thread(target=root.ensure, args=("16",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert unpacked == ["16"]


def test_a_root_appears_only_when_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(kind: Kind, apt: object) -> tuple[Path, ...]:
        raise LabError("network is down")

    monkeypatch.setattr(root, "open_suite", lambda kind, work: (None, "bullseye"))
    monkeypatch.setattr(root, "download", download)
    with pytest.raises(LabError, match="network is down"):
        root.ensure("16")
    assert not (tmp_path / "roots/16").exists()


def test_a_broken_package_is_an_error(tmp_path: Path) -> None:
    package = tmp_path / "broken.deb"
    package.write_bytes(b"no package")
    with pytest.raises(LabError, match=r"cannot unpack broken\.deb"):
        root.extract(package, tmp_path)
