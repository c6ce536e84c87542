"""Any vendor's JSON → object lists in the site frame, as the mapping in the site file says. Pure.

A document that is not what the mapping describes is refused whole, an object that lacks a
coordinate alone; both by reason code. A list of which no object could be read is refused too:
an empty list would say "looked and saw nothing".
"""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, TypeVar, cast

import msgspec

from rsu.config.place import PlaceOptions
from rsu.config.radar_mapping import (
    ANGLES,
    LENGTHS,
    SHARES,
    SPEEDS,
    CourseVelocity,
    Direction,
    EnuPosition,
    EnuVelocity,
    Extent,
    GeodeticPosition,
    PolarPosition,
    Quantity,
    SensorPosition,
    SensorVelocity,
    TimeOptions,
)
from rsu.config.radars import JsonRadarBase
from rsu.hal.radar.placement import Placement
from rsu.hal.stamps import StampGuard
from rsu.schema.sensing import DynamicProperty, ObjectClass, RadarObject, RadarObjects
from rsu.schema.units import NS_PER_S, Instant, Size, Vec2
from rsu.site.geodesy import LocalFrame, enu_heading, wrap_angle

T = TypeVar("T")

MAX_OBJECTS = 256
"""Longest list that is read: ARS408-like radars end at 250 clusters, traffic radars at 128–256."""
UNSTATED_HEIGHT = 1.5
"""m; a car's."""
_EPOCH_STEPS = {"epoch_s": NS_PER_S, "epoch_ms": 1_000_000, "epoch_us": 1000, "epoch_ns": 1}
_FACTORS = {**LENGTHS, **SPEEDS, **ANGLES, **SHARES}
_COMPACT = re.compile(r"\d{14}(\d{3})?")
_LATEST_NS = 1 << 62  # year 2116: beyond, an epoch in the wrong unit


class Refused(Exception):  # noqa: N818 - a word, not a failure
    """What cannot be used; the text is the reason code."""


class JsonLists:
    """Reads documents of one radar; `dropped` counts what was thrown away, by reason."""

    def __init__(self, options: JsonRadarBase, place: PlaceOptions, dropped: Counter[str]) -> None:
        self._options = options
        self._mapping = options.mapping
        self._placement = Placement(options)
        origin = place.origin
        self._frame = LocalFrame(origin.latitude, origin.longitude, origin.altitude)
        self._dropped = dropped
        self._guard = StampGuard(options.ages.max_age_s, options.ages.max_ahead_s)
        self._cycle = 0

    def document(self, octets: bytes, now: Instant) -> RadarObjects | None:
        """The list of one document that arrived `now`; None where it is refused and counted."""
        try:
            return self._read(octets, now)
        except Refused as reason:
            self._dropped[str(reason)] += 1
            return None

    def _read(self, octets: bytes, now: Instant) -> RadarObjects:
        mapping = self._mapping
        try:
            document = msgspec.json.decode(octets)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Refused("not_json") from None
        if mapping.device is not None:
            named = _at(document, mapping.device.path)
            if str(named) != str(mapping.device.equals):
                raise Refused("other_device")
        items = _at(document, mapping.objects)
        if not isinstance(items, list):
            raise Refused("no_list")
        if len(items) > MAX_OBJECTS:
            raise Refused("list_too_long")
        capture_ns = self._measured(document, now)
        found: dict[int, RadarObject] = {}
        unread = 0
        for item in items:
            try:
                read = self._object(item)
                if read.object_id in found:
                    raise Refused("repeated_object_id")
                found[read.object_id] = read
            except Refused as reason:
                self._dropped[str(reason)] += 1
                unread += str(reason) not in _BEYOND
        if unread and not found:
            raise Refused("no_readable_object")
        stamp = self._guard.refusal(self._options.id, capture_ns, now)
        if stamp is not None and mapping.time.format != "arrival":
            raise Refused(stamp)
        self._cycle += 1
        return RadarObjects(
            sensor=self._options.id,
            cycle=self._cycle,
            capture_ns=capture_ns,
            objects=tuple(found.values()),
        )

    def _measured(self, document: Any, now: Instant) -> int:
        time = self._mapping.time
        if time.format == "arrival" or time.path is None:
            return now.utc_ns - round(self._options.latency_s * NS_PER_S)
        measured = _time_ns(_at(document, time.path), time)
        if not 0 < measured < _LATEST_NS:
            raise Refused("bad_time")
        return measured

    def _object(self, item: Any) -> RadarObject:
        mapping, place, stated = self._mapping, self._placement, self._mapping.accuracy
        if not isinstance(item, dict | list):
            raise Refused("bad_object")
        position = self._position(item)
        velocity = self._velocity(item, position)
        reason = place.refusal(position, velocity)
        if reason is not None:
            raise Refused(reason)
        distance = math.hypot(position.x - place.origin.x, position.y - place.origin.y)
        across_std = distance * math.radians(stated.azimuth_std)
        position_cov = place.polar_cov(position, stated.range_std, across_std)
        velocity_cov = place.polar_cov(
            position, stated.radial_speed_std, stated.tangential_speed_std
        )
        return RadarObject(
            object_id=_object_id(_at(item, mapping.id)),
            position=position,
            position_cov=place.with_mounting(position, position_cov),
            velocity=velocity,
            velocity_cov=place.turned_velocity_cov(velocity, velocity_cov),
            object_class=_looked_up(item, mapping.object_class, ObjectClass.UNKNOWN),
            dynamic=_looked_up(item, mapping.dynamic, DynamicProperty.UNKNOWN),
            existence=_share(item, mapping.existence),
            rcs=None if mapping.rcs is None else _optional(item, mapping.rcs),
            size=None if mapping.size is None else _size(item, mapping.size),
            heading=None if mapping.heading is None else self._heading(item, mapping.heading),
        )

    def _position(self, item: Any) -> Vec2:
        at, place = self._mapping.position, self._placement
        if isinstance(at, SensorPosition):
            return place.point(_number(item, at.forward), _number(item, at.left))
        if isinstance(at, PolarPosition):
            azimuth = math.radians(_number(item, at.azimuth)) * (-1.0 if at.clockwise else 1.0)
            distance = _number(item, at.range)
            if distance < 0.0:
                raise Refused("bad_object")
            return place.point(distance * math.cos(azimuth), distance * math.sin(azimuth))
        if isinstance(at, GeodeticPosition):
            latitude, longitude = _number(item, at.latitude), _number(item, at.longitude)
            if abs(latitude) > 90.0 or abs(longitude) > 180.0:
                raise Refused("bad_object")
            x, y, _ = self._frame.to_enu(latitude, longitude)
            return Vec2(x, y)
        assert isinstance(at, EnuPosition)
        return Vec2(_number(item, at.east), _number(item, at.north))

    def _velocity(self, item: Any, position: Vec2) -> Vec2:
        by, place = self._mapping.velocity, self._placement
        if isinstance(by, SensorVelocity):
            return place.vector(_number(item, by.forward), _number(item, by.left))
        if isinstance(by, EnuVelocity):
            return Vec2(_number(item, by.east), _number(item, by.north))
        speed = _number(item, by.speed)
        if isinstance(by, CourseVelocity):
            course = self._heading(item, by.course)
            if course is None:
                raise Refused("bad_object")
            return Vec2(speed * math.cos(course), speed * math.sin(course))
        bearing = math.atan2(position.y - place.origin.y, position.x - place.origin.x)
        return Vec2(speed * math.cos(bearing), speed * math.sin(bearing))

    def _heading(self, item: Any, direction: Direction) -> float | None:
        degrees = _optional(item, direction)
        if degrees is None or abs(degrees) > 720.0:
            return None
        turn = -math.radians(degrees) if direction.clockwise else math.radians(degrees)
        if direction.zero == "axis":
            return self._placement.heading(turn)
        return wrap_angle((enu_heading(0.0) if direction.zero == "north" else 0.0) + turn)


_BEYOND = frozenset({"out_of_range"})
"""Reasons for which an object is left out that was read well."""


def _at(value: Any, path: str) -> Any:
    """What stands at a path, None where nothing does."""
    for step in path.split(".") if path else ():
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def _raw(value: Any) -> float | None:
    """A finite number, also where the vendor writes it as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _optional(item: Any, quantity: Quantity) -> float | None:
    raw = _raw(_at(item, quantity.path))
    if raw is None or raw in quantity.invalid:
        return None
    unit = _FACTORS.get(getattr(quantity, "unit", ""), 1.0)
    value = (raw * quantity.factor + quantity.offset) * unit
    return value if math.isfinite(value) else None


def _number(item: Any, quantity: Quantity) -> float:
    value = _optional(item, quantity)
    if value is None:
        raise Refused("bad_object")
    return value


def _share(item: Any, share: Quantity | None) -> float | None:
    value = None if share is None else _optional(item, share)
    return value if value is not None and 0.0 <= value <= 1.0 else None


def _size(item: Any, extent: Extent) -> Size | None:
    length, width = _optional(item, extent.length), _optional(item, extent.width)
    height = UNSTATED_HEIGHT if extent.height is None else _optional(item, extent.height)
    if length is None or width is None or height is None or min(length, width, height) <= 0.0:
        return None
    return Size(length, width, height)


def _looked_up(item: Any, options: Any, unknown: T) -> T:
    if options is None:
        return unknown
    raw = _at(item, options.path)
    if isinstance(raw, float) and raw.is_integer():
        raw = int(raw)
    if not isinstance(raw, str | int):
        return cast("T", options.otherwise)
    # Keys of a JSON or YAML mapping are text or numbers, as the person wrote them.
    return cast("T", options.table.get(str(raw), options.table.get(raw, options.otherwise)))


def _object_id(raw: Any) -> int:
    """The vendor's number, or a stable one for its name."""
    if isinstance(raw, int) and not isinstance(raw, bool) and abs(raw) < 1 << 62:
        return raw
    if isinstance(raw, str) and raw:
        return int(raw) if raw.isdecimal() and len(raw) < 18 else zlib.crc32(raw.encode())
    raise Refused("bad_object")


def _time_ns(raw: Any, options: TimeOptions) -> int:
    step = _EPOCH_STEPS.get(options.format)
    if step is not None:
        if isinstance(raw, int) and not isinstance(raw, bool):
            return raw * step  # exact: a float has 53 bits, nanoseconds need 61
        number = _raw(raw)
        if number is None or not abs(number) * step < _LATEST_NS:
            raise Refused("bad_time")
        return int(raw) * step if str(raw).isdecimal() else round(number * step)
    text = str(raw) if isinstance(raw, str | int) else ""
    try:
        moment = _moment(text, options)
    except (ValueError, OverflowError):
        raise Refused("bad_time") from None
    if moment.tzinfo is None:
        if options.utc_offset_h is None:
            raise Refused("time_without_zone")
        moment = moment.replace(tzinfo=timezone(timedelta(hours=options.utc_offset_h)))
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * NS_PER_S + since.microseconds * 1000


def _moment(text: str, options: TimeOptions) -> datetime:
    if options.format == "iso8601":
        return datetime.fromisoformat(text)
    if not _COMPACT.fullmatch(text):
        raise ValueError(text)
    return datetime.strptime(text.ljust(17, "0"), "%Y%m%d%H%M%S%f")  # noqa: DTZ007 - zone is added
