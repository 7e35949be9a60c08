"""Commands, options, exit codes, signals and streams."""
