"""What the simulator refuses, in one small tree.

SimulationError(ValueError): the site or the options do not make a world. The message names the
lane or the option and says what would help.
"""

from __future__ import annotations


class SimulationError(ValueError):
    """A map or an option from which no world can be made."""

    exit_code = 2  # of a command that ends with this error
