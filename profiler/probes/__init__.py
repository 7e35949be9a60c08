"""Where probes go, how they are placed, and what a trap costs here."""
