"""An ARS408-like radar on a CAN bus: a sensor model's cycle becomes the frames of the real wire.

In: `RadarCycle` of `rsu.sim.sensors.radar`; out: frames, written with the same DBC that the driver
reads, on any python-can bus (`virtual` in one process, `udp_multicast` between processes). Values
are rounded to the wire's steps and clipped to its ranges, as the device does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import can

from rsu.config.radars import Ars408Options
from rsu.hal.radar.ars408 import open_bus
from rsu.hal.radar.ars408_lists import COUNTERS, ID_STEP, read_database
from rsu.sim.sensors.radar import RadarCycle, RadarReading

_FRAMES = ("Obj_0_Status", "Obj_1_General", "Obj_2_Quality", "Obj_3_Extended")
MOST_OBJECTS = 100
"""The device sends at most this many objects in a cycle (data sheet of the family)."""


class CanRadarEmulator:
    """Sends cycles on the bus that a radar's options describe; only our own DBC."""

    def __init__(self, options: Ars408Options) -> None:
        self._options = options
        database = read_database(None)
        self._layouts = {name: _Layout(database.get_message_by_name(name)) for name in _FRAMES}
        self._bus: can.BusABC | None = None

    def open(self) -> None:
        """Raises DeviceError (of rsu.hal) when the bus cannot be opened."""
        if self._bus is None:
            self._bus = open_bus(self._options.bus, (), f"radar emulator {self._options.id}")

    def send(self, cycle: RadarCycle) -> None:
        """Put one cycle on the bus."""
        assert self._bus is not None, "open it first"
        for frame in self.frames(cycle):
            self._bus.send(frame)

    def close(self) -> None:
        bus, self._bus = self._bus, None
        if bus is not None:
            bus.shutdown()

    def frames(self, cycle: RadarCycle) -> Iterator[can.Message]:
        """60A, then 60B, 60C, 60D of every object."""
        objects = cycle.objects[:MOST_OBJECTS]
        yield self._frame(
            "Obj_0_Status",
            {
                "Obj_NofObjects": len(objects),
                "Obj_MeasCounter": cycle.counter % COUNTERS,
                "Obj_InterfaceVersion": 1,
            },
        )
        for name, values in (
            ("Obj_1_General", _general), ("Obj_2_Quality", _quality), ("Obj_3_Extended", _extended),
        ):  # fmt: skip
            for item in objects:
                yield self._frame(name, values(item))

    def _frame(self, name: str, values: dict[str, float]) -> can.Message:
        layout = self._layouts[name]
        clipped = {
            signal: min(max(values[signal], low), high) for signal, low, high in layout.ranges
        }
        can_id = layout.message.frame_id + self._options.sensor_id * ID_STEP
        data = layout.message.encode(clipped, strict=False)
        return _Frame(arbitration_id=can_id, data=data, is_extended_id=False)


class _Layout:
    """A message of the DBC, and the range of each of its signals."""

    def __init__(self, message: Any) -> None:
        self.message = message
        self.ranges = [(one.name, one.minimum, one.maximum) for one in message.signals]


class _Frame(can.Message):
    """A frame that is sent once and by nobody changed: the in-process bus need not copy it."""

    __slots__ = ()

    def __deepcopy__(self, memo: dict[int, Any] | None) -> _Frame:
        return self


def _general(item: RadarReading) -> dict[str, float]:
    return {
        "Obj_ID": item.number, "Obj_DistLong": item.forward, "Obj_DistLat": item.left,
        "Obj_VrelLong": item.speed_forward, "Obj_VrelLat": item.speed_left,
        "Obj_DynProp": item.dynamic, "Obj_RCS": item.rcs,
    }  # fmt: skip


def _quality(item: RadarReading) -> dict[str, float]:
    return {
        "Obj_ID": item.number, "Obj_DistLong_rms": item.forward_rms,
        "Obj_DistLat_rms": item.left_rms, "Obj_VrelLong_rms": item.speed_forward_rms,
        "Obj_VrelLat_rms": item.speed_left_rms, "Obj_ArelLong_rms": 31, "Obj_ArelLat_rms": 31,
        "Obj_Orientation_rms": item.orientation_rms, "Obj_MeasState": item.state,
        "Obj_ProbOfExist": item.existence,
    }  # fmt: skip


def _extended(item: RadarReading) -> dict[str, float]:
    return {
        "Obj_ID": item.number, "Obj_ArelLong": 0.0, "Obj_ArelLat": 0.0, "Obj_Class": item.kind,
        "Obj_OrientationAngle": item.orientation, "Obj_Length": item.length,
        "Obj_Width": item.width,
    }  # fmt: skip
