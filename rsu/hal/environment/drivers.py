"""The table of weather and road sensor drivers; `rsu.hal.device.make_device` loads from it."""

from __future__ import annotations

ENTRY_POINTS = "rsu.drivers.environment"

DRIVERS = {"mqtt": "rsu.hal.environment.mqtt:MqttEnvironment"}
