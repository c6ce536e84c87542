"""The table of bay sensor drivers; `rsu.hal.device.make_device` loads from it."""

from __future__ import annotations

ENTRY_POINTS = "rsu.drivers.parking"

DRIVERS = {"bay_mqtt": "rsu.hal.parking.bay_mqtt:BayMqttSensors"}
