"""Container lookups: counted, and measured in windows."""
