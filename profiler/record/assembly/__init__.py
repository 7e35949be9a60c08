"""From what was observed to a recording: indexes, names, sums."""
