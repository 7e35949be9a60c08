from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import counting
from bench.pairs import Pairs, paired_ratio
from bench.tables import Table, estimate_cell, promise, replace_between

TABLE = Table("x", ("what", "ns"), (("ours", "7"), ("a trap", "1000")), (promise("fast", True),))


def test_columns_are_aligned_and_promises_follow() -> None:
    assert TABLE.text() == "x\nwhat      ns\nours       7\na trap  1000\nholds: fast"


def test_markdown_has_the_command_that_repeats_it() -> None:
    assert TABLE.markdown() == (
        "| what | ns |\n| --- | ---: |\n| ours | 7 |\n| a trap | 1000 |\n\n- holds: fast\n\n"
        "Repeat: `sudo python -m bench x`"
    )


def test_a_broken_promise_is_loud() -> None:
    assert promise("fast", False) == "DOES NOT HOLD: fast"


def test_only_what_is_between_the_marks_changes() -> None:
    text = "a\n<!-- bench x -->\nold\n<!-- end x -->\n<!-- bench y -->\n<!-- end y -->\n"
    changed = replace_between(text, "x", "new\nnew")
    assert changed == text.replace("old", "new\nnew")
    assert replace_between(changed, "y", "more").count("more") == 1


@pytest.mark.parametrize("text", ["", "<!-- bench x -->\n", "\n<!-- end x -->"])
def test_a_document_without_the_marks_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no place for x"):
        replace_between(text, "x", "new")


@given(
    st.lists(st.floats(1, 1e6), min_size=1, max_size=20),
    st.floats(0.5, 2.0),
)
def test_what_is_always_so_much_slower_has_an_interval_of_no_width(
    without: list[float], factor: float
) -> None:
    ratio = paired_ratio([factor * value for value in without], without)
    assert ratio.low == pytest.approx(ratio.high) == pytest.approx(ratio.median)
    assert ratio.median == pytest.approx(factor)


def test_the_interval_contains_the_median() -> None:
    ratio = paired_ratio([9.0, 11.0, 10.0, 12.0, 8.0], [10.0] * 5)
    assert ratio.low < ratio.median == 1.0 < ratio.high
    assert (ratio.low, ratio.high) == (0.8, 1.2)


def test_pairs_of_several_rows_are_compared_together() -> None:
    low, high = Pairs([9.0, 9.0], [10.0, 10.0]), Pairs()
    high.add(11.0, 10.0)
    both = low + high
    assert both == Pairs([9.0, 9.0, 11.0], [10.0, 10.0, 10.0])
    assert both.ratio() == paired_ratio(both.with_it, both.without)
    assert both.ratio().median == 0.9


def test_a_trap_costs_more_than_what_is_within_the_noise() -> None:
    assert counting.cost_ratio(500.0, 2.0) == 250
    assert counting.cost_ratio(500.0, -0.7) == counting.cost_ratio(500.0, 0.0) == math.inf


def test_a_round_in_which_lookups_were_refused_is_repeated() -> None:
    refusals = [counting.RefusedError(), counting.RefusedError()]

    def measure_once() -> float:
        if refusals:
            raise refusals.pop()
        return 7.0

    assert counting.undisturbed(measure_once) == 7.0


def test_a_machine_that_stays_too_busy_is_given_up() -> None:
    tries = []

    def measure_once() -> float:
        tries.append(1)
        raise counting.RefusedError

    with pytest.raises(counting.RefusedError):
        counting.undisturbed(measure_once)
    assert len(tries) == counting.TRIES


def counted(chain: int, ours_ns: float) -> counting.Costs:
    """Return the costs in one round: a trap takes 1,000 ns for each comparison."""
    plain, compared = 10.0, chain / 2
    ours, trap = plain + ours_ns, plain + 1_000 * compared
    return counting.Costs([plain], [ours], [trap], [trap], compared)


def test_what_was_promised_of_rows_that_were_not_measured_is_left_open() -> None:
    verdicts = counting.promises({1_000: counted(1_000, 50_000.0)})
    assert verdicts == (
        "DOES NOT HOLD: at most 80 ns a comparison (100.0)",
        "DOES NOT HOLD: at most 1/100 of a trap at entry (1/10)",
        "holds: at most 1/6 of a trap by our rules (1/10)",
        *(
            f"NOT MEASURED, the machine was too busy: chain {chain}"
            for chain in ("10", "100", "8,000", "50,000")
        ),
    )


def test_a_lookup_costs_what_it_takes_beyond_its_walk() -> None:
    every = {chain: counted(chain, 2_000 + chain) for chain in counting.CHAINS}
    verdicts = counting.promises(every)
    assert "holds: a lookup costs at most 3 us without its walk (2000 ns)" in verdicts
    assert "holds: one in a chain of 10 at most 3 us in all (2010 ns)" in verdicts
    assert not any("NOT MEASURED" in verdict for verdict in verdicts)


def test_rounds_are_compared_by_what_work_cost_in_them() -> None:
    pairs = Pairs()
    pairs.add_costs(4.0, before=2.0, after=4.0)
    assert pairs.ratio().median == pytest.approx(0.25 / 0.375)


def test_an_estimate_is_shown_with_its_interval() -> None:
    assert estimate_cell(90, 0.0, 100) == "0.900 [0.90, 0.90]"
    low, high = estimate_cell(90, 81.0, 100).partition("[")[2].rstrip("]").split(", ")
    assert float(low) < 0.75 < 1.05 < float(high)
    assert estimate_cell(25, None, 100) == "at least 0.250"
