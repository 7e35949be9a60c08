import subprocess
from pathlib import Path

import pytest

from lab import guest, kernels
from lab.errors import LabError


def test_the_kernel_is_what_the_meta_package_depends_on() -> None:
    control = "Package: linux-image-amd64\nDepends: linux-image-6.1.0-50-amd64 (= 6.1.176-1)\n"
    assert kernels.parse_image(control) == "linux-image-6.1.0-50-amd64"


def test_a_meta_package_without_a_kernel_is_an_error() -> None:
    with pytest.raises(LabError, match="names no kernel"):
        kernels.parse_image("Package: linux-image-amd64\nDepends: linux-base\n")


def test_a_package_without_a_kernel_is_refused(tmp_path: Path) -> None:
    package, tree = tmp_path / "x.deb", tmp_path / "tree"
    tree.mkdir()
    (tmp_path / "x/DEBIAN").mkdir(parents=True)
    (tmp_path / "x/DEBIAN/control").write_text(
        "Package: x\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n"
    )
    subprocess.run(["dpkg-deb", "-b", tmp_path / "x", package], check=True, capture_output=True)
    with pytest.raises(LabError, match=r"cannot unpack x\.deb"):
        kernels.extract(package, tree)


def test_the_guests_clock_is_the_hosts() -> None:
    assert guest.parse_clock_khz("processor\t: 0\ncpu MHz\t\t: 2596.134\n") == 2596134
    assert guest.parse_clock_khz("processor\t: 0\n") is None


def test_a_guest_without_its_programs_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabError, match="busybox is not installed") as caught:
        guest.build_initramfs(tmp_path, tmp_path)
    assert caught.value.hint == "apt-get install busybox-static"
