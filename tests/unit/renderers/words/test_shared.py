from __future__ import annotations

from profiler.model.profile import Profile
from profiler.renderers.words.shared import shared
from tests import examples


def test_one_profile_is_drawn_once() -> None:
    asked: list[Profile] = []

    @shared
    def draw(profile: Profile) -> int:
        asked.append(profile)
        return len(asked)

    first, second = examples.empty(), examples.empty()
    assert [draw(first), draw(first), draw(second), draw(second), draw(first)] == [1, 1, 2, 2, 3]
    assert all(a is b for a, b in zip(asked, (first, second, first), strict=True))
