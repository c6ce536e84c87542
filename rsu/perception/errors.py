"""What can go wrong before the first frame is looked at, as one small tree.

    PerceptionError
    ├── ModelError        a detector model that cannot be found, trusted, loaded or understood
    └── CalibrationError  a calibration that cannot place anything on the road

Both end `rsu` with exit code 2: they are mistakes in files, found at load. Nothing in a frame
raises; what cannot be placed is counted with a reason (`rsu.perception.projection`).
"""

from __future__ import annotations


class PerceptionError(ValueError):
    """Base of everything perception raises on purpose."""

    exit_code = 2


class ModelError(PerceptionError):
    """A detector model and what to do about it."""

    def __init__(self, problem: str, next_step: str) -> None:
        super().__init__(f"{problem}; {next_step}")
        self.problem = problem
        self.next_step = next_step


class CalibrationError(PerceptionError):
    """A calibration that contradicts itself or the road."""
