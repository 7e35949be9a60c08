from __future__ import annotations

from dataclasses import replace

from profiler.renderers.words.provenance import facts
from tests import examples


def test_the_machine_is_among_the_facts_if_it_is_known() -> None:
    story = examples.field_story()
    known = dict(facts(story))
    assert (known["Host"], known["Kernel"]) == ("pbx1, 2 CPUs", "Linux 6.1.0-28-amd64")
    assert (known["BCC"], known["Local time"]) == ("0.26.0", "2026-11-24T06:43:10+01:00 (CET)")
    older = dict(facts(replace(story, host=None)))
    assert older == {name: value for name, value in known.items() if name in older}
    assert len(known) - len(older) == 4
    without_version = replace(examples.HOST, bcc_version=None)
    assert dict(facts(replace(story, host=without_version)))["BCC"] == "unknown"


def test_every_value_is_one_line() -> None:
    assert all(value.isprintable() for _, value in facts(examples.hostile()))
