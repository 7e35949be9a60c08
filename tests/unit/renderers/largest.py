"""The largest profile that a page must bear: 36,000 nodes of a flame graph, 10,000 containers."""

from __future__ import annotations

import random
from dataclasses import replace

from profiler.model import profile as p
from profiler.model.recording import LookupStack, Sample
from profiler.model.search import Search
from tests import examples

CONTAINERS = 10_000
_STACKS = 3_300
_SAMPLES = 60_000
_APART_NS = 1_000_000  # a minute of them


def largest() -> p.Profile:
    """Return the field story with many containers of one lookup each, and stacks of all kinds."""
    choose = random.Random(20_260)
    story = examples.field_story()
    stacks = tuple(_stack(choose) for _ in range(_STACKS))
    samples = tuple(
        Sample(
            story.window.start_ns + number * _APART_NS,
            story.threads[number % 3].tid,
            number % _STACKS,
        )
        for number in range(_SAMPLES)
    )
    found = tuple(LookupStack(number % 200, number, 1.0, 40.0) for number in range(_STACKS))
    model = examples.looked_up(examples.looking_up(Search.KEY, 3))
    short_lived = (_short_lived(model, number) for number in range(CONTAINERS - 2))
    made = replace(
        story,
        stacks=stacks,
        samples=samples,
        lookup_stacks=found,
        containers=(*story.containers, *short_lived),
    )
    return examples.with_sample_bins(made)


def _stack(choose: random.Random) -> p.NamedStack:
    names = [f"ast_function_of_a_usual_length_{choose.randrange(9)}" for _ in range(6)]
    deep = [f"handle_{choose.randrange(300)}_request" for _ in range(8)]
    return p.NamedStack((*names, *deep, "do_syscall_64"), 1, None)


def _short_lived(model: p.ContainerUse, number: int) -> p.ContainerUse:
    site = examples.looking_up(Search.KEY, number % 40, 1.0 + number % 7, 900 + number)
    site = replace(site, function=f"function_{number % 60}", line=number % 900)
    return replace(
        model,
        address=0x7F3A_5C00_0000 + number * 0x140,
        name=None if number % 2 else f"things ({number % 90})",
        elements_end=7_000 + number % 5,
        comparisons=site.comparisons,
        duration_ns=site.duration_ns,
        estimated_duration_ns=site.estimated_duration_ns,
        call_sites=(site,),
    )
