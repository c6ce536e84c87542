"""The table of radar drivers; `rsu.hal.device.make_device` loads from it."""

from __future__ import annotations

ENTRY_POINTS = "rsu.drivers.radar"

DRIVERS = {
    "ars408": "rsu.hal.radar.ars408:Ars408Radar",
    "json_udp": "rsu.hal.radar.json_udp:JsonUdpRadar",
    "json_mqtt": "rsu.hal.radar.json_mqtt:JsonMqttRadar",
}
