"""One run, from preparation to recording."""
