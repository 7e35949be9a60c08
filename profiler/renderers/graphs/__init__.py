"""Flame graphs, and the trees that they show."""
