"""CAN frames of an ARS408-like radar → complete object lists in the site frame. Pure, no I/O.

A measuring cycle is one status frame (number of objects, measurement counter), then a general frame
per object, then a quality and an extended frame per object. A list leaves when all that the status
announced is there; one that is cut off by the next status is dropped whole, because "nothing else
there" would not be true of it. Bit layouts come from a DBC, the meaning of numbers from the options
(perception facts §4).
"""

from __future__ import annotations

import math
from collections import Counter
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import cantools
from cantools.database import Database
from cantools.database.can import Message

from rsu.config.radars import Ars408Options
from rsu.hal.errors import DeviceError
from rsu.hal.radar.placement import Placement
from rsu.schema.sensing import DynamicProperty, ObjectClass, RadarObject, RadarObjects
from rsu.schema.units import NS_PER_S, Size, Vec2

T = TypeVar("T")

ID_STEP = 0x10
"""CAN ids of a radar with sensor id n are higher by n times this (unverified, facts §4)."""
COUNTERS = 65_536
REORDERED_CYCLES = 16
"""A counter that runs back by less, about a second, is an old list; by more, a restarted radar."""
UNSTATED_HEIGHT = 1.5
"""m; radars of this kind measure no height: a car's."""
DISTANCE_STEP, SPEED_STEP = 0.2, 0.25
"""Resolution of the wire, m and m/s: a rounding error of step/√12 is part of every value."""
_ROUNDING = 1.0 / 12.0

SIGNALS = (
    "Obj_NofObjects", "Obj_MeasCounter", "Obj_ID", "Obj_DistLong", "Obj_DistLat", "Obj_VrelLong",
    "Obj_VrelLat", "Obj_DynProp", "Obj_RCS", "Obj_DistLong_rms", "Obj_DistLat_rms",
    "Obj_VrelLong_rms", "Obj_VrelLat_rms", "Obj_Orientation_rms", "Obj_MeasState",
    "Obj_ProbOfExist", "Obj_Class", "Obj_OrientationAngle", "Obj_Length", "Obj_Width",
)  # fmt: skip
"""Signals that are read, by our names."""


def read_database(path: Path | None) -> Database:
    """The DBC at `path`, or ours; DeviceError when it cannot be read."""
    try:
        text = (
            files("rsu.hal.radar").joinpath("ars408.dbc").read_text("utf-8")
            if path is None
            else path.read_text("cp1252")  # the DBC format's own character set
        )
        found = cantools.database.load_string(text, "dbc")
    except Exception as error:  # cantools raises many kinds for what a file may hold
        raise DeviceError(f"DBC {path} cannot be read: {error}", "correct `database`") from error
    assert isinstance(found, Database)
    return found


class Ars408Lists:
    """Collects frames into lists; `dropped` counts what was thrown away, by reason."""

    def __init__(self, options: Ars408Options, database: Database, dropped: Counter[str]) -> None:
        """Raises DeviceError for messages or signals that the DBC does not have."""
        self._options = options
        self._placement = Placement(options)
        self._dropped = dropped
        self._name = {ours: options.signals.get(ours, ours) for ours in SIGNALS}
        names = options.messages
        self._status = self._message(database, names.status)
        self._general = self._message(database, names.general)
        self._quality = self._message(database, names.quality) if names.quality else None
        self._extended = self._message(database, names.extended) if names.extended else None
        offset = options.sensor_id * ID_STEP
        known = (self._status, self._general, self._quality, self._extended)
        self._by_id = {m.frame_id + offset: m for m in known if m is not None}
        self._check_signals([m for m in known if m is not None])
        self.ids = tuple(self._by_id)
        self._expected: int | None = None
        self._counter = 0
        self._arrival_ns = 0
        self._last_counter: int | None = None
        self._parts: dict[Message, dict[int, dict[str, Any]]] = {}
        self._awaited = 0

    def frame(self, can_id: int, data: bytes, arrival_ns: int) -> RadarObjects | None:
        """Take one data frame; the list that it completes, if it does."""
        message = self._by_id.get(can_id)
        if message is None:
            return None  # another message of the radar, or another device on the bus
        if len(data) < message.length:
            self._dropped["wrong_length"] += 1
            return None
        values: Any = message.decode(data[: message.length], decode_choices=False)
        if message is self._status:
            self._begin(values, arrival_ns)
        else:
            self._add(message, values)
        return self._finished()

    def forget(self) -> None:
        """The bus was lost: what was begun will not be completed."""
        if self._expected is not None:
            self._dropped["partial_list"] += 1
        self._expected = None

    def _begin(self, values: dict[str, Any], arrival_ns: int) -> None:
        self.forget()
        counter = int(values[self._name["Obj_MeasCounter"]])
        if self._last_counter is not None:
            back = (self._last_counter - counter) % COUNTERS
            if back == 0:
                self._dropped["repeated_list"] += 1
                return
            if back < REORDERED_CYCLES:
                self._dropped["reordered_list"] += 1
                return
        self._expected = int(values[self._name["Obj_NofObjects"]])
        self._counter, self._arrival_ns = counter, arrival_ns
        self._parts = {m: {} for m in self._by_id.values() if m is not self._status}
        self._awaited = self._expected * len(self._parts)

    def _add(self, message: Message, values: dict[str, Any]) -> None:
        if self._expected is None:
            self._dropped["frame_outside_list"] += 1
            return
        number = int(values[self._name["Obj_ID"]])
        part = self._parts[message]
        if number in part or len(part) >= self._expected:
            self._dropped["surplus_frame"] += 1
            return
        part[number] = values
        self._awaited -= 1

    def _finished(self) -> RadarObjects | None:
        if self._expected is None or self._awaited > 0:
            return None
        self._expected = None
        general = self._parts[self._general]
        if any(part.keys() != general.keys() for part in self._parts.values()):
            self._dropped["mixed_list"] += 1
            return None
        self._last_counter = self._counter
        found = (self._object(number, values) for number, values in general.items())
        return RadarObjects(
            sensor=self._options.id,
            cycle=self._counter,
            capture_ns=self._arrival_ns - round(self._options.latency_s * NS_PER_S),
            objects=tuple(item for item in found if item is not None),
        )

    def _object(self, number: int, general: dict[str, Any]) -> RadarObject | None:
        name, place, tables = self._name, self._placement, self._options.tables
        quality = self._parts[self._quality][number] if self._quality else {}
        extended = self._parts[self._extended][number] if self._extended else {}
        if quality and int(quality[name["Obj_MeasState"]]) in tables.deleted:
            self._dropped["deleted_object"] += 1
            return None
        position = place.point(general[name["Obj_DistLong"]], general[name["Obj_DistLat"]])
        velocity = place.vector(general[name["Obj_VrelLong"]], general[name["Obj_VrelLat"]])
        reason = place.refusal(position, velocity)
        if reason is not None:
            self._dropped[reason] += 1
            return None
        position_cov = place.cartesian_cov(
            self._std(quality, "Obj_DistLong_rms", self._options.distance_std, DISTANCE_STEP),
            self._std(quality, "Obj_DistLat_rms", self._options.distance_std, DISTANCE_STEP),
        )
        velocity_cov = place.cartesian_cov(
            self._std(quality, "Obj_VrelLong_rms", self._options.speed_std, SPEED_STEP),
            self._std(quality, "Obj_VrelLat_rms", self._options.speed_std, SPEED_STEP),
        )
        dynamic = _entry(tables.dynamic, general[name["Obj_DynProp"]])
        kind = _entry(tables.classes, extended[name["Obj_Class"]]) if extended else None
        existence = _entry(tables.existence, quality[name["Obj_ProbOfExist"]]) if quality else None
        return RadarObject(
            object_id=number,
            position=position,
            position_cov=place.with_mounting(position, position_cov),
            velocity=velocity,
            velocity_cov=place.turned_velocity_cov(velocity, velocity_cov),
            object_class=kind or ObjectClass.UNKNOWN,
            dynamic=dynamic or DynamicProperty.UNKNOWN,
            existence=existence,
            rcs=float(general[name["Obj_RCS"]]),
            size=self._size(extended),
            heading=self._heading(quality, extended, velocity),
        )

    def _std(self, quality: dict[str, Any], signal: str, otherwise: float, step: float) -> float:
        stated = None
        if quality:
            index = int(quality[self._name[signal]])
            stated = _entry(self._options.tables.linear_rms, index)
        return math.hypot(otherwise if stated is None else stated, step * math.sqrt(_ROUNDING))

    def _size(self, extended: dict[str, Any]) -> Size | None:
        if not extended:
            return None
        length = float(extended[self._name["Obj_Length"]])
        width = float(extended[self._name["Obj_Width"]])
        return Size(length, width, UNSTATED_HEIGHT) if length > 0.0 and width > 0.0 else None

    def _heading(
        self, quality: dict[str, Any], extended: dict[str, Any], velocity: Vec2
    ) -> float | None:
        """Orientation, where the radar vouches for it; it is that of the way of moving."""
        if not extended or not quality:
            return None
        rms = _entry(self._options.tables.angle_rms, quality[self._name["Obj_Orientation_rms"]])
        # Beyond a right angle not even forwards and backwards are told apart.
        if rms is None or rms > 90.0 or velocity == Vec2(0.0, 0.0):
            return None
        degrees = float(extended[self._name["Obj_OrientationAngle"]])
        return self._placement.heading(math.radians(degrees))

    @staticmethod
    def _message(database: Database, name: str) -> Message:
        try:
            return database.get_message_by_name(name)
        except KeyError:
            raise DeviceError(
                f"the DBC has no message {name!r}", "correct `messages` or `database`"
            ) from None

    def _check_signals(self, messages: list[Message]) -> None:
        missing = set(self._name.values()) - {s.name for m in messages for s in m.signals}
        absent = {
            self._name[signal]
            for message, signals in (
                (self._quality, SIGNALS[9:16]), (self._extended, SIGNALS[16:])
            ) if message is None for signal in signals
        }  # fmt: skip
        if missing - absent:
            raise DeviceError(
                f"the DBC has no signal {', '.join(sorted(missing - absent))}",
                "name the dialect's in `signals`",
            )


def _entry(table: tuple[T, ...], index: Any) -> T | None:
    number = int(index)
    return table[number] if 0 <= number < len(table) else None
