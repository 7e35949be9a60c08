"""The tables of docs/kernels.md."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from tests.kernels.features import FEATURES, Outcome
from tests.kernels.table import BEGIN, END, Tried, parse_output, render, replace_tables

ALL_WELL = tuple(Outcome(feature.name, "yes", "", 3) for feature in FEATURES)
KERNEL = {"kernel": "6.1.0-50", "links": "single", "bcc": "0.26.0"}


def tried(*outcomes: Outcome, why_not: str = "") -> Tried:
    packages = ("linux-image-6.1.0-50-amd64_6.1.176-1_amd64",)
    return Tried("6.1", "Debian 12", packages, KERNEL, outcomes, why_not)


def test_what_a_guest_says_is_found_between_other_lines() -> None:
    outcome = Outcome("counts", "partly", "no trees", 7)
    output = f"noise\n{json.dumps(KERNEL)}\n{{odd\n{json.dumps(asdict(outcome))}\n"
    output += '{"feature": "co'  # as of a guest that was ended
    assert parse_output(output) == (KERNEL, (outcome,))
    assert parse_output("") == (None, ())


def test_a_kernel_with_all_features_misses_none() -> None:
    assert tried(*ALL_WELL).failures() == ()


def test_a_feature_that_failed_or_was_not_reached_is_missing() -> None:
    failed = Outcome(FEATURES[0].name, "no", "why", 1)
    missing = tried(failed, *ALL_WELL[1:-1]).failures()
    assert [(one.feature, one.detail) for one in missing] == [
        (FEATURES[0].name, "why"),
        (FEATURES[-1].name, "the guest ended before"),
    ]


def test_a_kernel_that_was_not_run_misses_nothing_and_says_so() -> None:
    one = tried(why_not="no Ubuntu archive is known")
    assert one.failures() == ()
    assert "6.1, Debian 12: not run: no Ubuntu archive is known" in render([one])


def test_cells_say_what_is_missing_and_how_much_was_right() -> None:
    first, second = FEATURES[0].name, FEATURES[1].name
    outcomes = (Outcome(first, "partly", "a | b", 1), Outcome(second, "yes", "9 of 9", 1))
    text = render([tried(*outcomes)])
    assert "| package | linux-image-6.1.0-50-amd64 6.1.176-1 |\n" in text
    assert f"| {first} | partly: a \\| b |\n" in text
    assert f"| {second} | yes, 9 of 9 |\n" in text
    assert "| probe links | single |\n" in text


def test_only_the_tables_of_the_document_are_replaced() -> None:
    document = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert replace_tables(document, "new\n") == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    with pytest.raises(ValueError, match="lost its marks"):
        replace_tables("before", "new")
