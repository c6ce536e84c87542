"""What can go wrong between the runtime and a device, as one small tree.

    HalError
    ├── ActionableError
    │   ├── UnknownDriver  no such driver, or it could not be loaded
    │   └── DeviceError    the device cannot be opened, was lost or refuses; try again later
    └── EndOfSource        a recorded source has no more frames; nothing is wrong

Drivers raise nothing else for anything a device, a file or a network can do to them. Every
`DeviceError` and `UnknownDriver` says what a person can do about it.
"""

from __future__ import annotations


class HalError(Exception):
    """Base of everything the hardware layer raises on purpose."""

    exit_code = 3  # of a command that ends with this error


class ActionableError(HalError):
    """A problem together with what to do about it."""

    def __init__(self, problem: str, next_step: str) -> None:
        super().__init__(f"{problem}; {next_step}")
        self.problem = problem
        self.next_step = next_step


class UnknownDriver(ActionableError):  # noqa: N818  the term everyone uses
    """No driver of that name exists, or its module could not be loaded."""


class DeviceError(ActionableError):
    """A device that cannot be opened, was lost, or did not take what it was given."""


class EndOfSource(HalError):  # noqa: N818  an end is not an error
    """A recorded source has delivered its last frame; the text says how much that was."""
