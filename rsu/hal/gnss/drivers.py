"""The table of GNSS drivers; `rsu.hal.device.make_device` loads from it."""

from __future__ import annotations

ENTRY_POINTS = "rsu.drivers.gnss"

DRIVERS = {
    "nmea": "rsu.hal.gnss.nmea:NmeaReceiver",
    "gpsd": "rsu.hal.gnss.gpsd:GpsdReceiver",
}
