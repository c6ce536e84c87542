"""What sensors see: camera detections and radar objects, already placed in the site frame.

Filled by `rsu.perception` (cameras) and by radar drivers in `rsu.hal`; read by `rsu.fusion`.
Every position carries its own covariance, so fusion needs no knowledge of the sensor behind it.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from rsu.schema.units import Box, Cov2, Size, Vec2


class ObjectClass(StrEnum):
    """Road user classes that the whole runtime distinguishes."""

    UNKNOWN = "unknown"
    PEDESTRIAN = "pedestrian"
    BICYCLE = "bicycle"
    MOTORCYCLE = "motorcycle"
    CAR = "car"
    VAN = "van"
    TRUCK = "truck"
    BUS = "bus"
    ANIMAL = "animal"
    OBSTACLE = "obstacle"

    @property
    def is_vru(self) -> bool:
        """Vulnerable road user: on foot or on two wheels."""
        return self in _VRU

    @property
    def is_motor(self) -> bool:
        """Moves under its own motor and is registered for the road."""
        return self in _MOTOR


_VRU = frozenset({ObjectClass.PEDESTRIAN, ObjectClass.BICYCLE, ObjectClass.MOTORCYCLE})
_MOTOR = frozenset(
    {ObjectClass.MOTORCYCLE, ObjectClass.CAR, ObjectClass.VAN, ObjectClass.TRUCK, ObjectClass.BUS}
)


class SensorKind(StrEnum):
    """What kind of device a sensor id stands for."""

    CAMERA = "camera"
    RADAR = "radar"
    LIDAR = "lidar"
    V2X = "v2x"
    SIGNAL = "signal"
    PARKING = "parking"
    GNSS = "gnss"
    ENVIRONMENT = "environment"


class ImageDetection(msgspec.Struct, frozen=True, kw_only=True):
    """One object as a detector reports it: class, score 0..1, box in full-image pixels."""

    object_class: ObjectClass
    score: float
    box: Box


class CameraDetection(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One object in one frame.

    `position` is the centre of the object's footprint (m, site frame), `position_cov` its
    covariance from pixel and calibration noise; `size` is the class's or the measured size.
    `constant_cov` is the part of it that repeats from frame to frame (calibration, size
    assumptions) and so never averages out; None: unknown, all of it counts as fresh noise.
    """

    object_class: ObjectClass
    score: float
    box: Box
    position: Vec2
    position_cov: Cov2
    size: Size
    constant_cov: Cov2 | None = None


class CameraDetections(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one camera saw in one frame; an empty tuple says "looked and saw nothing".

    `capture_ns` is when the frame was exposed, `frame` counts frames of this camera. `rejected`
    counts boxes that were not placed on the ground, by reason code.
    """

    sensor: str
    frame: int
    capture_ns: int
    image_width: int
    image_height: int
    detections: tuple[CameraDetection, ...]
    rejected: dict[str, int] = {}


class DynamicProperty(StrEnum):
    """Motion class that radars of the ARS408 family report for an object."""

    UNKNOWN = "unknown"
    MOVING = "moving"
    STATIONARY = "stationary"
    ONCOMING = "oncoming"
    STATIONARY_CANDIDATE = "stationary_candidate"
    CROSSING_STATIONARY = "crossing_stationary"
    CROSSING_MOVING = "crossing_moving"
    STOPPED = "stopped"


class RadarObject(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One object of a radar's own tracker, rotated into the site frame.

    `velocity` is over ground (m/s). `existence` is the sensor's own probability, None where it
    states none; `rcs` is radar cross-section in dBm².
    """

    object_id: int
    position: Vec2
    position_cov: Cov2
    velocity: Vec2
    velocity_cov: Cov2
    object_class: ObjectClass = ObjectClass.UNKNOWN
    dynamic: DynamicProperty = DynamicProperty.UNKNOWN
    existence: float | None = None
    rcs: float | None = None
    size: Size | None = None
    heading: float | None = None


class RadarObjects(msgspec.Struct, frozen=True, kw_only=True):
    """One complete measurement cycle of one radar."""

    sensor: str
    cycle: int
    capture_ns: int
    objects: tuple[RadarObject, ...]


class V2xObject(msgspec.Struct, frozen=True, kw_only=True):
    """One road user as a message states it, with the accuracy the message states.

    `object_id` tells objects of one sender apart (a vehicle's temporary id in hex, a neighbour's
    object number). `measured_ns` is the moment its state is of. `heading` (rad, counter-clockwise
    from east) and `speed` (m/s, along the heading) have standard deviations, None where unknown.
    `self_reported`: the road user speaks of itself; else the sender saw it.
    """

    object_id: str
    measured_ns: int
    position: Vec2
    position_cov: Cov2
    object_class: ObjectClass
    self_reported: bool
    heading: float | None = None
    heading_std: float | None = None
    speed: float | None = None
    speed_std: float | None = None
    size: Size | None = None
    existence: float | None = None


class V2xObjects(msgspec.Struct, frozen=True, kw_only=True):
    """The road users of one message: `sensor` is `v2x`, `sender` the sender's id in hex.

    `capture_ns` is the moment of the newest object. Nothing is said about objects not in it.
    """

    sensor: str
    sender: str
    message: str
    capture_ns: int
    objects: tuple[V2xObject, ...]
