"""The tables of docs/kernels.md, from what features.py printed in each guest. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tests.kernels.features import FEATURES, NO, Outcome

BEGIN, END = "<!-- written by make kernels: begin -->", "<!-- written by make kernels: end -->"
# What describe_kernel of features.py says, and what the row is called.
_WAYS = {
    "links": "probe links",
    "walks": "walks along nodes",
    "registers": "user registers of samples in the kernel",
    "btf": "BTF",
    "bcc": "BCC",
    "python": "Python",
}


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of one kernel; `why_not` says why it was not run."""

    version: str
    used_by: str
    packages: tuple[str, ...] = ()
    kernel: dict[str, str] | None = None
    outcomes: tuple[Outcome, ...] = ()
    why_not: str = ""

    def outcome(self, feature: str) -> Outcome:
        """Return what came of a feature; one that was not reached is missing."""
        found = (outcome for outcome in self.outcomes if outcome.feature == feature)
        return next(found, Outcome(feature, NO, "the guest ended before", 0))

    def failures(self) -> tuple[Outcome, ...]:
        """Return the features that are missing."""
        if self.why_not:
            return ()
        outcomes = (self.outcome(feature.name) for feature in FEATURES)
        return tuple(outcome for outcome in outcomes if outcome.state == NO)


def _parse_lines(output: str) -> Iterator[dict[str, Any]]:
    """Yield what features.py printed; other lines are noise, and the last may be cut off."""
    for line in output.splitlines():
        if line.startswith('{"'):
            with suppress(json.JSONDecodeError):
                yield json.loads(line)


def parse_output(output: str) -> tuple[dict[str, str] | None, tuple[Outcome, ...]]:
    """Return what a guest said of its kernel (None: nothing), and of each feature."""
    lines = list(_parse_lines(output))
    kernels = [line for line in lines if "kernel" in line]
    outcomes = tuple(Outcome(**line) for line in lines if "feature" in line)
    return kernels[0] if kernels else None, outcomes


def _row(name: str, cells: Sequence[str]) -> str:
    clean = (cell.replace("|", "\\|").replace("\n", " ") for cell in (name, *cells))
    return f"| {' | '.join(clean)} |\n"


def _cell(outcome: Outcome) -> str:
    separator = ", " if outcome.state == "yes" else ": "
    return outcome.state + (separator + outcome.detail if outcome.detail else "")


def _packages(tried: Tried) -> str:
    """Return name and version of the package of the image, whose .deb files are named by both."""
    names = [package.split("_") for package in tried.packages]
    return next((f"{name} {version}" for name, version, _ in names if "-image-" in name), "")


def render(all_tried: Sequence[Tried]) -> str:
    """Return both tables, and what was not run."""
    ran = [tried for tried in all_tried if not tried.why_not]
    head = _row("", [f"{tried.version}, {tried.used_by}" for tried in ran])
    head += _row("---", ["---"] * len(ran))
    text = head + _row("package", [_packages(tried) for tried in ran])
    for feature in FEATURES:
        text += _row(feature.name, [_cell(tried.outcome(feature.name)) for tried in ran])
    text += "\nWhich way each kernel offers, and what it was run with:\n\n" + head
    for key, name in _WAYS.items():
        text += _row(name, [(tried.kernel or {}).get(key, "unknown") for tried in ran])
    for tried in all_tried:
        if tried.why_not:
            text += f"\n{tried.version}, {tried.used_by}: not run: {tried.why_not}\n"
    return text


def replace_tables(document: str, tables: str) -> str:
    """Return the document with other tables between the marks."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("docs/kernels.md has lost its marks")
    return f"{before}{BEGIN}\n\n{tables}\n{END}{after}"
