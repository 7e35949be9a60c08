"""From a recording to a profile: sums, ranks, findings, differences."""
