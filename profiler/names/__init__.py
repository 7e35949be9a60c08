"""From addresses to names, also inferred ones."""
