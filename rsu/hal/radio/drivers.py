"""The table of radio drivers and the one way to get an open radio from its options.

Adding a driver is one module and one line here (or an entry point in the group
`rsu.drivers.radio` of another package).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from rsu.hal.driver_table import driver_class

if TYPE_CHECKING:
    from rsu.config.radios import RadioBase
    from rsu.hal.radio.base import Radio

ENTRY_POINTS = "rsu.drivers.radio"

DRIVERS = {
    "udp": "rsu.hal.radio.udp:UdpRadio",
    "rsu41": "rsu.hal.radio.rsu41:Rsu41Radio",
    "file": "rsu.hal.radio.file:FileRadio",
}


def make_radio(options: RadioBase, base: Path) -> Radio:
    """A closed radio; `base` is the site file's folder. Raises UnknownDriver."""
    name = str(getattr(options, "driver", ""))
    return cast("Radio", driver_class(name, DRIVERS, ENTRY_POINTS)(options, base))


def open_radio(options: RadioBase, base: Path) -> Radio:
    """An open radio; raises UnknownDriver, or DeviceError when it cannot be opened now."""
    radio = make_radio(options, base)
    radio.open()
    return radio
