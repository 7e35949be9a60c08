"""The one error that a user of the lab can meet."""


class LabError(Exception):
    """A failure of the lab, with a message (one line) and a hint (what helps)."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
