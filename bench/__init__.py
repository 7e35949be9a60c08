"""Ratios against what a user would pick instead, each measured within one run."""
