from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from profiler.probes.attach import VARIANTS
from profiler.record.assembly.warnings import missing_samples, poor_tables, short_walks
from profiler.unwind.kernel_tables import INFERRED
from profiler.wire.lookups import LookupCounter


@pytest.mark.parametrize(("fired", "is_reported"), [(851, False), (849, True), (1_200, False)])
def test_missing_samples_are_reported(fired: int, is_reported: bool) -> None:
    accounting = SimpleNamespace(fired=fired)
    observed: Any = SimpleNamespace(cpu_s=10, sample_accounting=accounting)
    reported = missing_samples(observed, 100)
    assert (reported is not None) == is_reported
    assert reported is None or "849 of about 1,000 expected CPU samples were taken" in reported


@pytest.mark.parametrize(("frequency_hz", "advice"), [(99, "-F 999 or"), (999, "try a longer -d")])
def test_a_higher_frequency_is_advised_only_below_a_high_one(
    frequency_hz: float, advice: str
) -> None:
    accounting = SimpleNamespace(fired=0)
    observed: Any = SimpleNamespace(cpu_s=10, sample_accounting=accounting)
    assert advice in (missing_samples(observed, frequency_hz) or "")


def test_few_samples_are_missing_by_chance() -> None:
    accounting = SimpleNamespace(fired=70)
    observed: Any = SimpleNamespace(cpu_s=1, sample_accounting=accounting)
    assert missing_samples(observed, 100) is None
    accounting.fired = 69
    assert missing_samples(observed, 100) is not None


@pytest.mark.parametrize(("iterator", "truncated"), [(False, 7), (False, 0), (True, 7)])
def test_walks_that_end_early_on_this_kernel_are_reported(iterator: bool, truncated: int) -> None:
    way = next(way for way in VARIANTS if way.iterator == iterator)
    programs: Any = SimpleNamespace(variant=way)
    lookups: Any = SimpleNamespace(counters={LookupCounter.TRUNCATED: truncated})
    said = short_walks(programs, lookups)
    assert (said is not None) == (truncated > 0 and not iterator)
    assert said is None or said.startswith("7 lookups have no count: ")


def test_files_whose_rules_were_inferred_are_named_where_stacks_go_through_them() -> None:
    tables = (("/lib/musl", INFERRED), ("/lib/other", INFERRED), ("/lib/none", "no table"))
    observed: Any = SimpleNamespace(without_table=tables)
    said = list(poor_tables(observed, {"/lib/none"}, {"/lib/musl", "/lib/none"}))
    assert said == [f"/lib/musl: {INFERRED}", "stacks end in /lib/none: no table"]
    assert list(poor_tables(observed, {"/lib/musl"}, set())) == [
        f"stacks end in /lib/musl: {INFERRED}"
    ]


def test_without_lookups_no_walk_ends_early() -> None:
    assert short_walks(None, None) is None
