"""Styles and scripts that stand in the files."""
