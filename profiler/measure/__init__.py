"""Samples, lookups, windows, and the budget that they keep to."""
