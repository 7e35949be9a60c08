"""The values that the stages hand on: observed, recording, profile, difference."""
