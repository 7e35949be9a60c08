"""When threads of the target do not run: seen in windows, and looked at once a second."""
