"""The recording file and the results folder."""
