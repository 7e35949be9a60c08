"""Follows ao2 objects from their birth to their end: probes, windows, histories, survivors."""
