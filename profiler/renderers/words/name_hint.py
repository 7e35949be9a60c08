"""What to do for frames without a name: the files that they are in, and one command that helps.

Which command depends on the distribution that the target runs on. docs/names.md says for each what
it does, and where it is known from.
"""

from __future__ import annotations

import shlex

from profiler.model.profile import Profile, UnnamedFile
from profiler.model.recording import System, Target
from profiler.renderers.words import numbers
from profiler.renderers.words.labels import clip

UNNAMED_RATIO_MAX = 0.05  # of frames; above it, names are worth a hint

_FILES_MAX = 5
_PATH_MAX = 200
_SERVERS = {
    "debian": "https://debuginfod.debian.net",
    "ubuntu": "https://debuginfod.ubuntu.com",
    "fedora": "https://debuginfod.fedoraproject.org",
}
_ANY_SERVER = "https://debuginfod.elfutils.org"  # which asks those of many distributions
_RPM_FAMILY = frozenset(("rhel", "centos"))
_DEBIAN_FAMILY = frozenset(("debian", "ubuntu"))
_DISTRIBUTIONS_PACKAGE = "asterisk"  # as Debian and Ubuntu call theirs


def note(profile: Profile) -> str | None:
    """Return how many frames have no name and, if they are many, the files that they are in."""
    ratio = profile.unnamed_frames_ratio
    if ratio is None:
        return None
    said = f"frames without a name: {numbers.percent(ratio)}"
    files = profile.unnamed_files
    if ratio <= UNNAMED_RATIO_MAX or not files:
        return said
    listed = [_described(file) for file in files[:_FILES_MAX]]
    if len(files) > _FILES_MAX:
        listed.append(numbers.counted(len(files) - _FILES_MAX, "more file"))
    return f"{said}, in {'; '.join(listed)}"


def command(profile: Profile, recording: str) -> str | None:
    """Return the command line that names them in a recording; None where few have no name."""
    if (profile.unnamed_frames_ratio or 0.0) <= UNNAMED_RATIO_MAX:
        return None
    quoted = shlex.quote(recording)
    report = f"ebpf-prof report {quoted}"
    target, paths = profile.target, _paths(profile)
    kind = _kind(target.system)
    # The packages of a container are its own: what is installed there, a later report cannot see.
    if target.container_id is None and paths:
        if _RPM_FAMILY & kind:
            tool = "debuginfo-install" if _is_old(target) else "dnf debuginfo-install"
            return f"sudo {tool} $(rpm -qf {paths} | sort -u) && {report}"
        if _DEBIAN_FAMILY & kind and _is_of_others(target):
            return f"find-dbgsym-packages --install {paths} && {report}"
    if _is_own_build(profile):
        return f"ebpf-prof report --symbols FOLDER_OF_UNSTRIPPED_FILES {quoted}"
    return f"DEBUGINFOD_URLS={_server(target.system)} {report}"


def _described(file: UnnamedFile) -> str:
    build_id = f", build id {clip(file.build_id, 64)}" if file.build_id else ", without a build id"
    share = f"{numbers.percent(file.ratio)} of the samples"
    return f"{clip(file.path, _PATH_MAX)} ({share}{build_id})"


def _paths(profile: Profile) -> str:
    """Return the files as arguments of a shell; those with odd names are nobody's package."""
    paths = (file.path for file in profile.unnamed_files)
    real = [
        path
        for path in paths
        if path.startswith("/") and path.isprintable() and len(path) <= _PATH_MAX
    ]
    return " ".join(shlex.quote(path) for path in real[:_FILES_MAX])


def _kind(system: System | None) -> frozenset[str]:
    return frozenset((system.id, *system.like)) if system else frozenset()


def _server(system: System | None) -> str:
    return _SERVERS.get(system.id, _ANY_SERVER) if system else _ANY_SERVER


def _is_old(target: Target) -> bool:
    """Return whether its distribution has yum: CentOS 7, and Sangoma's that is made of it."""
    return target.system is not None and target.system.version in ("6", "7")


def _is_of_others(target: Target) -> bool:
    """Return whether Asterisk is of a package that is not the distribution's, as FreePBX has it."""
    package = target.system.package if target.system else None
    return package not in (None, _DISTRIBUTIONS_PACKAGE)


def _is_own_build(profile: Profile) -> bool:
    """Return whether Asterisk itself lacks names, and is of no package: its builder has them."""
    system = profile.target.system
    if system is None or system.package is not None or not _DEBIAN_FAMILY & _kind(system):
        return False
    return any("asterisk" in file.path for file in profile.unnamed_files)
