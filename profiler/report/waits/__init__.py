"""Who waits for whom, for which lock, and for how long."""
