from pathlib import Path

import pytest

from lab import mirror
from lab.errors import LabError

# As apt prints them; the hosts do not exist.
SOURCES = """\
'http://mirror.invalid/security/dists/bookworm-security/InRelease' a_InRelease 0
'http://third.invalid/repo/dists/nodistro/InRelease' b_InRelease 0
'http://mirror.invalid/debian/dists/bookworm/InRelease' c_InRelease 0
'http://mirror.invalid/debian/dists/bookworm-updates/InRelease' d_InRelease 0
'http://mirror.invalid/debian/dists/bookworm/main/binary-amd64/Packages.xz' e_Packages 0
'http://flat.invalid/./InRelease' f_InRelease 0
nonsense
"""


def test_the_mirror_of_the_running_release_comes_first() -> None:
    assert mirror.parse_sources(SOURCES, "bookworm") == (
        "http://mirror.invalid/debian",
        "http://third.invalid/repo",
    )


def test_an_unknown_release_keeps_the_order_of_apt() -> None:
    assert mirror.parse_sources(SOURCES, "") == (
        "http://third.invalid/repo",
        "http://mirror.invalid/debian",
    )


def test_no_sources_are_no_mirrors() -> None:
    assert mirror.parse_sources("", "bookworm") == ()


@pytest.mark.parametrize(
    ("text", "codename"),
    [
        ("ID=debian\nVERSION_CODENAME=bookworm\n", "bookworm"),
        ('VERSION_CODENAME="trixie"\n', "trixie"),
        ("ID=arch\n", ""),
    ],
)
def test_codename(text: str, codename: str) -> None:
    assert mirror.parse_codename(text) == codename


def test_the_environment_overrides_apt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(mirror.ENVIRONMENT, "http://own.invalid/debian/")
    assert mirror.read_mirrors() == ("http://own.invalid/debian",)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sources.list", "deb http://mirror.invalid/debian bookworm main\n"),
        (
            "debian.sources",
            "Types: deb\nURIs: http://mirror.invalid/debian\nSuites: bookworm\nComponents: main\n",
        ),
    ],
)
def test_apt_reads_both_forms_of_its_configuration(
    name: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "parts").mkdir()
    place = tmp_path if name == "sources.list" else tmp_path / "parts"
    (place / name).write_text(text)
    (tmp_path / "apt.conf").write_text(
        f'Dir::Etc::sourcelist "{tmp_path / "sources.list"}";\n'
        f'Dir::Etc::sourceparts "{tmp_path / "parts"}";\n'
        # no index was ever fetched
        f'Dir::State::lists "{tmp_path}";\n'
    )
    monkeypatch.delenv(mirror.ENVIRONMENT, raising=False)
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    assert mirror.read_mirrors() == ("http://mirror.invalid/debian",)


def test_ubuntu_is_looked_for_beside_debian(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(mirror.UBUNTU_ENVIRONMENT, raising=False)
    found = ("http://mirror.invalid/linux/debian", "http://third.invalid/repo")
    monkeypatch.setattr(mirror, "read_mirrors", lambda: found)
    assert mirror.read_ubuntu_mirrors() == ("http://mirror.invalid/linux/ubuntu",)


def test_the_environment_names_the_ubuntu_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(mirror.UBUNTU_ENVIRONMENT, "http://own.invalid/ubuntu/")
    assert mirror.read_ubuntu_mirrors() == ("http://own.invalid/ubuntu",)


def test_no_place_for_ubuntu_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(mirror.UBUNTU_ENVIRONMENT, raising=False)
    monkeypatch.setattr(mirror, "read_mirrors", lambda: ("http://third.invalid/repo",))
    with pytest.raises(LabError, match="no Ubuntu archive is known"):
        mirror.read_ubuntu_mirrors()
