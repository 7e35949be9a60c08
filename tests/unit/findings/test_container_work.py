from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.findings.container_work import container_work
from profiler.model.finding import Finding
from profiler.model.profile import ContainerPart, OperationUse, Profile, Thread
from profiler.model.recording import Sample
from profiler.model.search import Search
from profiler.model.subject import Subject
from tests.examples import empty, looked_up, looking_up, quantiles

THINGS = (ContainerPart(0x1000, "things", 0.75), ContainerPart(0x2000, "others", 0.25))


def profiled(samples: int = 1_000, cpu_ratio: float = 0.3) -> Profile:
    return replace(
        empty(),
        samples=tuple(Sample(at, 1, 0) for at in range(samples)),
        threads=(Thread(1, "asterisk", None, cpu_ratio, None, samples),),
    )


def operation(
    profile: Profile, samples: int, name: str = "ao2_link", *parts: ContainerPart
) -> OperationUse:
    return OperationUse(name, "main.c", 7, "asks", profile.cpu_share(samples), parts)


def found(profile: Profile, *uses: OperationUse) -> list[Finding]:
    return list(container_work(replace(profile, operations=uses)))


def test_links_that_take_much() -> None:
    profile = profiled()
    (finding,) = found(profile, operation(profile, 700))
    assert finding.id == "container-work"
    assert (
        finding.title == "main.c:7 asks links objects into a container: 21 % of a CPU in ao2_link"
    )
    assert finding.evidence == ("20 to 22 % of a CPU (700 of 1,000 samples)",)
    assert finding.cpu_ratio == pytest.approx(0.21)
    assert "by the square of the number" in finding.advice
    assert finding.subject == Subject(places=("main.c:7 asks",))


@pytest.mark.parametrize(
    ("name", "does", "advice"),
    [
        ("ao2_iterator_next", "walks through all elements of a container", "grows with their"),
        ("ao2_callback", "calls a function for elements of a container", "for each counts, too"),
        ("ao2_container_clone", "copies a whole container", "copies all elements"),
        ("ao2_find", "looks up elements", "larger --budget"),
        ("ao2_unlink", "looks up elements", "larger --budget"),
    ],
)
def test_each_operation_has_its_words(name: str, does: str, advice: str) -> None:
    profile = profiled()
    (finding,) = found(profile, operation(profile, 700, name))
    assert f" {does}: " in finding.title
    assert advice in finding.advice


def test_the_container_is_named_if_it_is_known() -> None:
    profile = profiled()
    (finding,) = found(profile, operation(profile, 700, "ao2_find", *THINGS))
    assert finding.evidence[1] == "in things and 1 more"
    assert finding.subject == Subject((0x1000,), ("main.c:7 asks",))


def test_lookups_with_few_comparisons_are_short_and_many() -> None:
    """Of those in the first window all may be measured, and comparisons counted in none."""
    short = replace(looking_up(Search.KEY, 3), cpu=profiled().cpu_share(700))
    uncounted = replace(short, comparisons=quantiles({}))
    for site, words in ((short, "Each of these lookups is short"), (uncounted, "The comparisons")):
        use = looked_up(site)
        profile = replace(profiled(), containers=(use,))
        (finding,) = found(profile, operation(profile, 700, "ao2_find", *THINGS))
        assert finding.advice.startswith(words)


@pytest.mark.parametrize(
    ("samples", "of", "cpu_ratio", "is_found"),
    [
        (10, 12, 0.3, True),
        (9, 10, 0.3, False),  # too few
        (400, 1_000, 0.03, True),  # at least 1.1 % of a CPU
        (200, 1_000, 0.03, False),  # 0.6 % of a CPU
        (150, 1_000, 3.0, True),  # of what threads used: 13 % at least
        (110, 1_000, 3.0, False),  # 9 % at least
    ],
)
def test_what_is_much(samples: int, of: int, cpu_ratio: float, is_found: bool) -> None:
    profile = profiled(of, cpu_ratio)
    assert bool(found(profile, operation(profile, samples))) is is_found


def test_what_another_finding_explains_is_left_out() -> None:
    profile = profiled()
    use = operation(profile, 700, "ao2_find", THINGS[0])
    short = replace(looking_up(Search.KEY, 3), cpu=use.cpu)
    assert found(replace(profile, containers=(looked_up(short),)), use)
    walks = replace(looking_up(Search.KEY, 1_000), cpu=use.cpu)
    assert not found(replace(profile, containers=(looked_up(walks),)), use)


def test_the_heaviest_are_enough() -> None:
    profile = profiled()
    uses = [replace(operation(profile, 200), line=line) for line in range(5)]
    assert [one.title.split()[0] for one in found(profile, *uses)] == [
        "main.c:0",
        "main.c:1",
        "main.c:2",
    ]


def test_nothing_is_found_where_nobody_looked() -> None:
    assert list(container_work(empty())) == []
