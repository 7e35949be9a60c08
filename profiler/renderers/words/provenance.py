"""How a profile was made, for whoever gets it by mail: the machine, the target, the tool."""

from __future__ import annotations

from profiler.model.profile import Profile
from profiler.renderers.words import numbers
from profiler.renderers.words.labels import printable

_UNKNOWN = "unknown"


def facts(profile: Profile) -> list[tuple[str, str]]:
    """Return (what, value) of all that is known; values may hold anything but further lines."""
    target = profile.target
    known = [
        ("Tool", f"ebpf-prof {profile.tool_version}"),
        ("Command", " ".join(profile.command)),
        *_host(profile),
        ("Executable", target.exe),
        ("Command line", " ".join(target.command_line)),
        ("Build ID", target.build_id or _UNKNOWN),
        ("Version", target.version or _UNKNOWN),
        ("Container", target.container_id or "none"),
        ("Distribution", target.system.name if target.system else _UNKNOWN),
        ("Started", profile.started_at),
        ("Ended by", profile.stopped_by),
    ]
    return [(name, printable(value)) for name, value in known]


def _host(profile: Profile) -> list[tuple[str, str]]:
    host = profile.host
    if host is None:
        return []
    return [
        ("Host", f"{host.name}, {numbers.counted(host.cpus, 'CPU')}"),
        ("Kernel", f"Linux {host.kernel_release}"),
        ("BCC", host.bcc_version or _UNKNOWN),
        ("Local time", f"{host.local_time} ({host.time_zone})"),
    ]
