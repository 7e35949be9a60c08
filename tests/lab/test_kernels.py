import subprocess
from pathlib import Path

import pytest

from lab import guest, kernels
from lab.errors import LabError


def test_the_kernel_is_what_the_meta_package_depends_on() -> None:
    control = "Package: linux-image-amd64\nDepends: linux-image-6.1.0-50-amd64 (= 6.1.176-1)\n"
    assert kernels.parse_image(control) == "linux-image-6.1.0-50-amd64"


def test_of_several_packages_the_image_is_the_kernel() -> None:
    depends = "linux-base-amd64 (= 7.2.12-1), linux-image-7.2.12+deb14-amd64 (= 7.2.12-1)"
    control = f"Package: linux-image-amd64\nDepends: {depends}\n"
    assert kernels.parse_image(control) == "linux-image-7.2.12+deb14-amd64"


def test_a_meta_package_without_a_kernel_is_an_error() -> None:
    with pytest.raises(LabError, match="linux-image-amd64 names no kernel"):
        kernels.parse_image("Package: linux-image-amd64\nDepends: linux-base\n")


@pytest.mark.parametrize(
    ("depends", "parts"),
    [
        ("kmod, linux-base (>= 4.3~)", ()),
        (
            "kmod, linux-base, linux-modules-5.15.0-204-generic",
            ("linux-modules-5.15.0-204-generic",),
        ),
        (
            "linux-binary-7.2.12+deb14-amd64 (= 7.2.12-1), linux-modules-7.2.12+deb14-amd64",
            ("linux-binary-7.2.12+deb14-amd64", "linux-modules-7.2.12+deb14-amd64"),
        ),
    ],
)
def test_image_and_modules_may_have_packages_of_their_own(
    depends: str, parts: tuple[str, ...]
) -> None:
    control = f"Package: linux-image-x\nDepends: {depends}\nSuggests: linux-modules-9\n"
    assert kernels.parse_parts(control) == parts


def build_package(folder: Path, name: str, *files: str) -> Path:
    tree = folder / name
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n"
    )
    for file in files:
        (tree / file).parent.mkdir(parents=True, exist_ok=True)
        text = file.encode()
        if file.endswith(".zst"):
            text = subprocess.run(["zstd"], input=text, check=True, capture_output=True).stdout
        (tree / file).write_bytes(text)
    package = folder / f"{name}.deb"
    subprocess.run(["dpkg-deb", "-b", tree, package], check=True, capture_output=True)
    return package


def test_a_kernel_is_put_together_from_its_packages(tmp_path: Path) -> None:
    packages = (
        build_package(tmp_path, "image", "boot/vmlinuz-5.15.0-204-generic"),
        build_package(
            tmp_path,
            "modules",
            *("lib/modules/5.15/kernel/fs/9p/9p.ko", "lib/modules/5.15/kernel/net/ipv4/esp.ko"),
            "lib/modules/5.15/kernel/net/9p/9pnet.ko.zst",
        ),
    )
    tree = tmp_path / "tree"
    tree.mkdir()
    kernels.extract(packages, tree)
    assert {path.name for path in tree.iterdir()} == {"vmlinuz", "9p.ko", "9pnet.ko"}
    assert (tree / "9pnet.ko").read_text() == "lib/modules/5.15/kernel/net/9p/9pnet.ko.zst"


def test_packages_without_a_kernel_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no kernel"):
        kernels.extract([build_package(tmp_path, "x")], tmp_path / "x")


def test_a_broken_package_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.deb").write_bytes(b"no package")
    with pytest.raises(LabError, match=r"cannot unpack broken\.deb"):
        kernels.extract([tmp_path / "broken.deb"], tmp_path)


def test_a_broken_module_is_refused(tmp_path: Path) -> None:
    (tmp_path / "9p.ko.zst").write_bytes(b"no module")
    with pytest.raises(LabError, match=r"cannot decompress 9p\.ko\.zst"):
        kernels.decompress_modules(tmp_path)


def test_a_suite_that_has_moved_on_is_not_taken_for_the_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "open_suite", lambda kind, work: (None, "forky"))
    record = "Package: linux-image-amd64\nDepends: linux-image-7.10.1+deb14-amd64\n"
    monkeypatch.setattr(kernels, "show", lambda apt, package: record)
    with pytest.raises(LabError, match=r"forky has linux-image-7\.10\.1\S+, no Linux 7\.1$"):
        kernels.download(kernels.SOURCES["7.2"], "7.1", tmp_path)


def test_a_kernel_appears_when_it_is_whole_and_replaces_an_older_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EBPF_PROF_LAB", str(tmp_path))
    (tmp_path / "kernels/6.1").mkdir(parents=True)
    monkeypatch.setattr(kernels, "download", lambda *_: (tmp_path / "linux_6.1_amd64.deb",))
    monkeypatch.setattr(kernels, "extract", lambda packages, tree: (tree / "vmlinuz").touch())
    assert kernels.ensure("6.1") == tmp_path / "kernels/6.1"
    assert (tmp_path / "kernels/6.1/packages").read_text() == "linux_6.1_amd64\n"
    assert [path.name for path in (tmp_path / "kernels").iterdir()] == ["6.1"]


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


@pytest.mark.parametrize(
    ("machine", "seconds", "message"),
    [(["true"], 60, "ended before its command"), (["sleep", "60"], 0.4, "not done in 0 s")],
)
def test_what_a_command_said_is_not_lost_with_its_guest(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    machine: list[str],
    seconds: float,
    message: str,
) -> None:
    def begin(kernel: Path, initramfs: Path, results: Path) -> list[str]:
        (results / "output").write_text("half\n")
        return machine

    monkeypatch.setattr(kernels, "ensure", lambda _: tmp_path)
    monkeypatch.setattr(guest, "build_initramfs", lambda *_: tmp_path)
    monkeypatch.setattr(guest, "_machine", begin)
    with pytest.raises(guest.UnfinishedError, match=message) as caught:
        guest.run("6.1", ["true"], seconds)
    assert caught.value.output == "half\n"
