"""What thread groups are called in tables and graphs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from profiler.model.profile import Profile, ThreadGroup
from profiler.renderers.words.labels import LABEL_MAX, clip


def group_label(group: ThreadGroup) -> str:
    """Return the title, and the tid or how many threads these are."""
    which = f"{group.count:,} threads" if group.is_many else group.tids[0]
    return f"{clip(group.title, LABEL_MAX)} ({which})"


def lane_namer(profile: Profile) -> Callable[[int], str]:
    """Return a function from a thread's tid to the name of its group, which no other group has."""
    groups = [(group, group_label(group)) for group in profile.thread_groups]
    same = Counter(label for _, label in groups)
    labels = {
        tid: label if same[label] == 1 else f"{label[:-1]}, busiest {group.tids[0]})"
        for group, label in groups
        for tid in group.tids
    }
    return lambda tid: labels.get(tid, f"thread ({tid})")
