"""What a user sees of a profile, one sub-package per kind of output."""
