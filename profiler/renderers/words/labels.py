"""Names of things as outputs show them. Names come from the target: none may break an output."""

from __future__ import annotations

from functools import lru_cache

from profiler.model.profile import CallSiteUse, ContainerUse, NamedStack, OperationUse, Profile
from profiler.model.recording import TARGET_RESTART
from profiler.renderers.words import numbers

LABEL_MAX = 300  # characters; longer names are cut in everything that draws
KEPT_MAX = 1 << 14  # names that are made ready to show only once: each occurs in many stacks

# Where the kernel begins to work for a probe: the trap, the way back from it, a probed return.
_PROBE_ENTRIES = frozenset(
    (
        *("asm_exc_int3", "exc_int3", "int3", "asm_exc_debug", "exc_debug"),
        *("uprobe_notify_resume", "handle_swbp", "uprobe_handle_trampoline"),
        *("__do_sys_uretprobe", "__x64_sys_uretprobe", "__do_sys_uprobe", "__x64_sys_uprobe"),
    )
)
_ELLIPSIS = "…"
_CHILDREN_MAX = 4  # names that are listed
_CHILDREN_RATIO = 0.01  # of one CPU: children that use less explain nothing
_ZONE_MAX = 40


def printable(text: str) -> str:
    r"""Return text on one line: what cannot be printed or turns the direction becomes `\x1b`."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def clip(text: str, width: int) -> str:
    """Return printable text of at most `width` characters; a cut one ends in an ellipsis."""
    shown = printable(text[: width + 1])
    return shown if len(shown) <= width else shown[: max(width - 1, 0)] + _ELLIPSIS


def target_label(profile: Profile) -> str:
    """Return what was profiled."""
    version = f" {clip(profile.target.version, 40)}" if profile.target.version else ""
    return f"asterisk{version} (pid {profile.target.pid})"


def window_label(profile: Profile) -> str:
    """Return how long it was profiled, and since when: by the clock of the machine, if known."""
    if profile.host is None:
        began = profile.started_at.replace("T", " ").replace("Z", " UTC")
    else:
        began = f"{profile.host.local_time[:19].replace('T', ' ')} {profile.host.time_zone}"
    return f"{profile.window.duration_s:.1f} s from {clip(began, _ZONE_MAX)}"


def host_label(profile: Profile) -> str:
    """Return on which machine it ran: "pbx1, Linux 6.1.0-28-amd64, 2 CPUs"; "" if not known."""
    host = profile.host
    if host is None:
        return ""
    cpus = numbers.counted(host.cpus, "CPU")
    return f"{clip(host.name, 64)}, Linux {clip(host.kernel_release, 64)}, {cpus}"


def total_cpu_label(profile: Profile) -> str:
    """Return the CPU time of the process: of one CPU, as top shows it, and of the machine."""
    used = profile.total_cpu_ratio
    text = f"{numbers.percent(used)} of one CPU, as top shows it"
    if profile.host is None or profile.host.cpus < 2:
        return text
    return f"{text}; {numbers.percent(used / profile.host.cpus)} of all {profile.host.cpus} CPUs"


def early_end(profile: Profile) -> str:
    """Return why the recording ended before its time; "" if it did not."""
    if profile.stopped_by == TARGET_RESTART:
        return (
            "The process restarted itself while it was recorded: this is the time before. For what "
            f"runs now: ebpf-prof asterisk -p {profile.target.pid}"
        )
    if profile.target.exited:
        return "The process ended while it was recorded."
    ended = clip(profile.stopped_by, 60)
    return "" if ended == "duration" else f"Ended early: {ended}."


def children_label(profile: Profile) -> str:
    """Return what processes that the target started used; "" if that was next to nothing."""
    children = profile.children
    if children.cpu_ratio <= _CHILDREN_RATIO:
        return ""
    listed = [
        f"{clip(one.name, 40)} ×{one.count:,} {numbers.percent(one.cpu_ratio)}"
        for one in children.seen[:_CHILDREN_MAX]
        if one.cpu_ratio > 0
    ]
    rest = children.cpu_ratio - sum(one.cpu_ratio for one in children.seen[:_CHILDREN_MAX])
    if rest > _CHILDREN_RATIO:
        listed.append(f"unseen {numbers.percent(rest)}")
    used = numbers.percent(children.cpu_ratio)
    return f"Processes that it started used {used} of a CPU: {', '.join(listed)}"


def idle_sockets(profile: Profile) -> str:
    """Return how many sockets have nothing to show; "" if none."""
    idle = sum(socket.is_idle for socket in profile.sockets)
    others = "other " if idle < len(profile.sockets) else ""
    every = "All " if 1 < idle == len(profile.sockets) else ""
    sockets = numbers.counted(idle, f"{others}UDP socket")
    return f"{every}{sockets}: queue empty, no drops." if idle else ""


def container_label(container: ContainerUse) -> str:
    """Return what a container is called: by its name, else by kind and address."""
    return clip(container.label, LABEL_MAX)


def call_site_label(site: CallSiteUse | OperationUse) -> str:
    """Return "file:line function", or the function alone where Asterisk does not pass the line."""
    function = clip(site.function, LABEL_MAX)
    if site.file is None:
        return function
    line = "" if site.line is None else f":{site.line}"
    return f"{clip(site.file, LABEL_MAX)}{line} {function}"


def frame_kind(name: str) -> str:
    """Return what a name in user space rests on: a symbol (user), inference, nothing (unnamed).

    Where a deep stack's middle is left out, it is "truncated".
    """
    if name.startswith("[..."):
        return "truncated"
    if name.startswith("~"):
        return "inferred"
    return "unnamed" if "+0x" in name or name.startswith(("0x", "[")) else "user"


def shown_frames(stack: NamedStack) -> tuple[tuple[str, str], ...]:
    """Return (label, kind) of a stack's frames, root first; of a truncated one the root says why.

    Kinds: user, inferred, unnamed, kernel, probe (the kernel's work for a probe), truncated.
    """
    first_kernel = len(stack.frames) - stack.kernel_count
    user = map(_shown_user, stack.frames[:first_kernel])
    kernel = stack.frames[first_kernel:]
    ours = (at for at, name in enumerate(kernel) if name in _PROBE_ENTRIES)
    first_ours = next(ours, len(kernel))
    probe = ((name, "probe") for name, _ in map(_shown_kernel, kernel[first_ours:]))
    frames = (*user, *map(_shown_kernel, kernel[:first_ours]), *probe)
    if stack.cause is None:
        return frames
    return ((f"[stack truncated: {clip(stack.cause, LABEL_MAX)}]", "truncated"), *frames)


@lru_cache(maxsize=KEPT_MAX)
def _shown_user(name: str) -> tuple[str, str]:
    return printable(name), frame_kind(name)


@lru_cache(maxsize=KEPT_MAX)
def _shown_kernel(name: str) -> tuple[str, str]:
    return printable(name), "kernel"
