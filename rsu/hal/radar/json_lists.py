"""Any vendor's JSON → object lists in the site frame, as the mapping in the site file says. Pure.

A document that is not what the mapping describes is refused whole, an object that lacks a
coordinate alone; both by reason code. A list of which no object could be read is refused too:
an empty list would say "looked and saw nothing".
"""

from __future__ import annotations

import math
import zlib
from collections import Counter
from typing import Any

from rsu.config.place import PlaceOptions
from rsu.config.radar_mapping import (
    CourseVelocity,
    Direction,
    EnuPosition,
    EnuVelocity,
    Extent,
    GeodeticPosition,
    PolarPosition,
    SensorPosition,
    SensorVelocity,
)
from rsu.config.radars import JsonRadarBase
from rsu.hal.json_fields import (
    Refused,
    looked_up,
    measured_ns,
    optional_value,
    parsed,
    required_value,
    share_value,
    value_at,
)
from rsu.hal.radar.placement import Placement
from rsu.hal.stamps import StampGuard
from rsu.schema.sensing import DynamicProperty, ObjectClass, RadarObject, RadarObjects
from rsu.schema.units import Instant, Size, Vec2
from rsu.site.geodesy import LocalFrame, enu_heading, wrap_angle

MAX_OBJECTS = 256
"""Longest list that is read: ARS408-like radars end at 250 clusters, traffic radars at 128–256."""
UNSTATED_HEIGHT = 1.5
"""m; a car's."""


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
        document = parsed(octets)
        if mapping.device is not None:
            named = value_at(document, mapping.device.path)
            if str(named) != str(mapping.device.equals):
                raise Refused("other_device")
        items = value_at(document, mapping.objects)
        if not isinstance(items, list):
            raise Refused("no_list")
        if len(items) > MAX_OBJECTS:
            raise Refused("list_too_long")
        capture_ns = measured_ns(document, mapping.time, self._options.latency_s, now)
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
            object_id=_object_id(value_at(item, mapping.id)),
            position=position,
            position_cov=place.with_mounting(position, position_cov),
            velocity=velocity,
            velocity_cov=place.turned_velocity_cov(velocity, velocity_cov),
            object_class=looked_up(item, mapping.object_class, ObjectClass.UNKNOWN),
            dynamic=looked_up(item, mapping.dynamic, DynamicProperty.UNKNOWN),
            existence=share_value(item, mapping.existence),
            rcs=None if mapping.rcs is None else optional_value(item, mapping.rcs),
            size=None if mapping.size is None else _size(item, mapping.size),
            heading=None if mapping.heading is None else self._heading(item, mapping.heading),
        )

    def _position(self, item: Any) -> Vec2:
        at, place = self._mapping.position, self._placement
        if isinstance(at, SensorPosition):
            return place.point(required_value(item, at.forward), required_value(item, at.left))
        if isinstance(at, PolarPosition):
            azimuth = math.radians(required_value(item, at.azimuth)) * (
                -1.0 if at.clockwise else 1.0
            )
            distance = required_value(item, at.range)
            if distance < 0.0:
                raise Refused("bad_object")
            return place.point(distance * math.cos(azimuth), distance * math.sin(azimuth))
        if isinstance(at, GeodeticPosition):
            latitude, longitude = (
                required_value(item, at.latitude),
                required_value(item, at.longitude),
            )
            if abs(latitude) > 90.0 or abs(longitude) > 180.0:
                raise Refused("bad_object")
            x, y, _ = self._frame.to_enu(latitude, longitude)
            return Vec2(x, y)
        assert isinstance(at, EnuPosition)
        return Vec2(required_value(item, at.east), required_value(item, at.north))

    def _velocity(self, item: Any, position: Vec2) -> Vec2:
        by, place = self._mapping.velocity, self._placement
        if isinstance(by, SensorVelocity):
            return place.vector(required_value(item, by.forward), required_value(item, by.left))
        if isinstance(by, EnuVelocity):
            return Vec2(required_value(item, by.east), required_value(item, by.north))
        speed = required_value(item, by.speed)
        if isinstance(by, CourseVelocity):
            course = self._heading(item, by.course)
            if course is None:
                raise Refused("bad_object")
            return Vec2(speed * math.cos(course), speed * math.sin(course))
        bearing = math.atan2(position.y - place.origin.y, position.x - place.origin.x)
        return Vec2(speed * math.cos(bearing), speed * math.sin(bearing))

    def _heading(self, item: Any, direction: Direction) -> float | None:
        degrees = optional_value(item, direction)
        if degrees is None or abs(degrees) > 720.0:
            return None
        turn = -math.radians(degrees) if direction.clockwise else math.radians(degrees)
        if direction.zero == "axis":
            return self._placement.heading(turn)
        return wrap_angle((enu_heading(0.0) if direction.zero == "north" else 0.0) + turn)


_BEYOND = frozenset({"out_of_range"})
"""Reasons for which an object is left out that was read well."""


def _size(item: Any, extent: Extent) -> Size | None:
    length, width = optional_value(item, extent.length), optional_value(item, extent.width)
    height = UNSTATED_HEIGHT if extent.height is None else optional_value(item, extent.height)
    if length is None or width is None or height is None or min(length, width, height) <= 0.0:
        return None
    return Size(length, width, height)


def _object_id(raw: Any) -> int:
    """The vendor's number, or a stable one for its name."""
    if isinstance(raw, int) and not isinstance(raw, bool) and abs(raw) < 1 << 62:
        return raw
    if isinstance(raw, str) and raw:
        return int(raw) if raw.isdecimal() and len(raw) < 18 else zlib.crc32(raw.encode())
    raise Refused("bad_object")
