"""Whether the target is no longer the process that was found: it exited, or called exec."""

from __future__ import annotations

import os
import select

from profiler.errors import REFUSALS, KernelError, TargetError, scarcity
from profiler.process.procfs import read_image


class ProcessEvents:
    """Asks about one process, without blocking. TargetError: it has ended; KernelError: refused.

    A pidfd reports the exit. What exec changes is compared at each question.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        try:
            self.exit_descriptor = os.pidfd_open(pid)  # readable when the process has ended
        except ProcessLookupError as error:
            raise TargetError(f"process {pid} has ended", "pgrep -a asterisk") from error
        except OSError as error:
            message = f"the end of process {pid} cannot be followed: {error.strerror}"
            raise scarcity(error) or KernelError(message, REFUSALS) from error
        self._image = read_image(pid)

    def is_over(self) -> bool:
        """Return whether the process exited or called exec."""
        return self._has_exited() or self._has_another_image()

    def has_restarted(self) -> bool:
        """Return whether it called exec, and goes on under the same pid."""
        return not self._has_exited() and self._has_another_image()

    def _has_exited(self) -> bool:
        poll = select.poll()
        poll.register(self.exit_descriptor, select.POLLIN)
        return bool(poll.poll(0))

    def _has_another_image(self) -> bool:
        return read_image(self._pid) not in (None, self._image)

    def close(self) -> None:
        """Give up the descriptor."""
        os.close(self.exit_descriptor)
