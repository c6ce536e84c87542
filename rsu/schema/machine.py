"""How busy the unit's computer is, as `rsu.runtime` reads it and `rsu.uplink` reports it."""

from __future__ import annotations

import msgspec


class MachineLoad(msgspec.Struct, frozen=True, kw_only=True):
    """The whole computer at `time_ns`; rates are means since the reading before.

    `load` is the load average over a minute (processes), `utilisation` 0..1 of all processors.
    Memory in octets: what is not available to a new process is used. The disk is the one with the
    root folder, its rates those of all block devices; the network is all interfaces but loopback.
    """

    time_ns: int
    load: float
    utilisation: float
    memory_total: int
    memory_used: int
    disk_total: int
    disk_used: int
    disk_operations_hz: float
    disk_read_octets_hz: float
    disk_written_octets_hz: float
    received_packets_hz: float
    sent_packets_hz: float
    received_octets_hz: float
    sent_octets_hz: float
