"""What makes two recordings hard to diff, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from profiler.model.profile import Profile

_SHORT_S = 5.0  # of a shorter one little can be said


def has_lookups(profile: Profile) -> bool:
    """Return whether lookups were looked for."""
    return profile.lookups_not_measured is None


def diff_notes(before: Profile, after: Profile) -> Iterator[str]:
    """Yield a sentence for each thing that stands in the way."""
    yield from _targets(before, after)
    if before.frequency_hz != after.frequency_hz:
        yield (
            f"Sampled {before.frequency_hz:g} times a second before, {after.frequency_hz:g} after: "
            "shares of a CPU are comparable, small ones are less certain on the slower side."
        )
    for word, one, other in (("BEFORE", before, after), ("AFTER", after, before)):
        if has_lookups(other) and not has_lookups(one):
            why = one.lookups_not_measured
            yield f"{word} has no lookups ({why}): containers are not compared."
    for options, what in (({"-U", "--user"}, "kernel"), ({"-K", "--kernel"}, "user")):
        if options.isdisjoint(before.command) != options.isdisjoint(after.command):
            yield f"One was recorded without {what} frames: functions and stacks differ by that."
    for word, profile in (("BEFORE", before), ("AFTER", after)):
        if profile.window.duration_s < _SHORT_S:
            yield f"{word} lasts {profile.window.duration_s:.1f} s: only large changes are seen."


def _targets(before: Profile, after: Profile) -> Iterator[str]:
    hosts = [profile.host.name if profile.host else None for profile in (before, after)]
    if None not in hosts and hosts[0] != hosts[1]:
        yield f"Not the same machine: {hosts[0]} before, {hosts[1]} after."
    old, new = before.target, after.target
    if old.version != new.version:
        yield (
            f"Not the same Asterisk: {old.version or 'unknown version'} before, "
            f"{new.version or 'unknown version'} after. Names and call sites may differ by that."
        )
    elif old.build_id != new.build_id:
        yield "Not the same build of Asterisk: names and lines may differ by that."
    if before.tool_version != after.tool_version:
        yield (
            f"Recorded by ebpf-prof {before.tool_version} before, {after.tool_version} after: "
            "names that are inferred may differ by that."
        )
