"""From what windows saw to totals, with intervals."""
