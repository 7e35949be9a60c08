"""CPU time by samples, with the error that their number gives. Pure.

A number of samples out of all of them is a share of the CPU time of all threads. Its interval is
Wilson's for a binomial proportion, so that nothing has more than what the threads used: E. B.
Wilson, Probable Inference, Journal of the American Statistical Association 22, 1927.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

Z_95 = 1.96  # standard deviations on either side hold 95 % of a normal distribution


@dataclass(frozen=True, slots=True)
class CpuShare:
    """CPU time by samples, as a share of one CPU, with its 95 % interval.

    `is_divided`: some samples may belong to other containers. They were divided by the time that
    measured lookups took.
    """

    samples: float  # parts of divided ones are added up
    ratio: float
    low: float
    high: float
    is_divided: bool = False


def cpu_share(
    samples: float, all_samples: int, cpu_ratio: float, *, is_divided: bool = False
) -> CpuShare:
    """Return what `samples` stand for, if `all_samples` stand for `cpu_ratio` of one CPU."""
    if not all_samples:
        return CpuShare(0.0, 0.0, 0.0, cpu_ratio, is_divided)
    part = min(samples / all_samples, 1.0)
    low, high = _wilson(part, all_samples)
    return CpuShare(samples, part * cpu_ratio, low * cpu_ratio, high * cpu_ratio, is_divided)


def _wilson(part: float, count: int) -> tuple[float, float]:
    """Return the ends of the interval for a proportion that was `part` of `count`."""
    doubt = Z_95**2 / count
    middle = (part + doubt / 2) / (1 + doubt)
    half = math.sqrt(doubt * part * (1 - part) + doubt**2 / 4) / (1 + doubt)
    return max(min(part, middle - half), 0.0), min(max(part, middle + half), 1.0)
