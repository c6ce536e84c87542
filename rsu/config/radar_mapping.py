"""How a vendor's JSON is read, as data: which field is what, in which unit, sign, frame and time.

A new radar with JSON output needs such a mapping in its site file and no code. Paths are keys
joined by dots, numbers index lists (`data.targets.0.x`); those of an object start at the object,
`time`, `device` and `objects` at the whole document, `""` is the whole document. docs/radar.md has
examples. What contradicts itself is an error when the file is loaded.
"""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from rsu.config.base import Options, Positive, misfit
from rsu.schema.sensing import DynamicProperty, ObjectClass

Path = Annotated[str, Field(max_length=200, pattern=r"^$|^[^.\s][^.]*(\.[^.]+)*$")]

LENGTHS = {"m": 1.0, "dm": 0.1, "cm": 0.01, "mm": 0.001, "km": 1000.0}
SPEEDS = {"m/s": 1.0, "dm/s": 0.1, "cm/s": 0.01, "km/h": 1 / 3.6, "mph": 0.44704}
ANGLES = {"deg": 1.0, "rad": 57.29577951308232, "deg_e7": 1e-7, "deg_e6": 1e-6, "0.0125deg": 0.0125}
SHARES = {"ratio": 1.0, "percent": 0.01, "permille": 0.001}
"""Unit → factor to m, m/s, degrees, 0..1."""


class Quantity(Options):
    """A number: value = (raw · factor + offset) in `unit`. `factor: -1` turns the sign."""

    path: Path = Field(min_length=1)
    factor: float = Field(1.0, description="Of the raw value: scale and sign.")
    offset: float = Field(0.0, description="Added after scaling, in `unit`.")
    invalid: tuple[float, ...] = Field(
        (), max_length=8, description="Raw values that mean: not known."
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.factor == 0.0:
            raise misfit("0 makes every value the same", "factor")
        return self


class Length(Quantity):
    unit: Literal["m", "dm", "cm", "mm", "km"] = "m"


class Speed(Quantity):
    unit: Literal["m/s", "dm/s", "cm/s", "km/h", "mph"] = "m/s"


class Angle(Quantity):
    unit: Literal["deg", "rad", "deg_e7", "deg_e6", "0.0125deg"] = "deg"


class Share(Quantity):
    unit: Literal["ratio", "percent", "permille"] = "ratio"


class Direction(Angle):
    """A direction on the ground: from where and which way round the angle counts."""

    zero: Literal["north", "east", "axis"] = Field(
        "north", description="Where 0 points; axis: the radar's own."
    )
    clockwise: bool = Field(True, description="Seen from above.")


class SensorPosition(Options):
    """Cartesian at the radar: x along its axis, y to the left."""

    frame: Literal["sensor"]
    forward: Length
    left: Length = Field(description="`factor: -1` where the vendor counts to the right.")


class PolarPosition(Options):
    """Range and azimuth from the radar's axis."""

    frame: Literal["polar"]
    range: Length
    azimuth: Angle
    clockwise: bool = Field(False, description="Positive azimuth is to the right.")


class GeodeticPosition(Options):
    """WGS-84. Not GCJ-02, the shifted coordinates of Chinese map services."""

    frame: Literal["wgs84"]
    latitude: Angle
    longitude: Angle


class EnuPosition(Options):
    """Metres east and north of the site's origin."""

    frame: Literal["enu"]
    east: Length
    north: Length


Position = Annotated[
    SensorPosition | PolarPosition | GeodeticPosition | EnuPosition, Field(discriminator="frame")
]


class SensorVelocity(Options):
    """Along the radar's axis and to the left, over ground."""

    frame: Literal["sensor"]
    forward: Speed = Field(description="Positive: away from the radar.")
    left: Speed


class EnuVelocity(Options):
    frame: Literal["enu"]
    east: Speed
    north: Speed


class CourseVelocity(Options):
    """Speed along a direction."""

    frame: Literal["course"]
    speed: Speed
    course: Direction


class RadialVelocity(Options):
    """Speed along the line of sight only; what crosses it is not known."""

    frame: Literal["radial"]
    speed: Speed = Field(description="Positive: away from the radar.")


Velocity = Annotated[
    SensorVelocity | EnuVelocity | CourseVelocity | RadialVelocity, Field(discriminator="frame")
]


class TimeOptions(Options):
    """When the list was measured."""

    format: Literal[
        "epoch_s", "epoch_ms", "epoch_us", "epoch_ns", "iso8601", "compact", "arrival"
    ] = Field(description="compact: 20250131235959[123]; arrival: the radar states none, or one "
              "too coarse (whole seconds) to be of use.")  # fmt: skip
    path: Path | None = None
    utc_offset_h: float | None = Field(
        None, ge=-14.0, le=14.0, description="Of texts that name no zone, h; China: 8."
    )

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.format == "arrival" and self.path is not None:
            raise misfit("contradicts `format: arrival`, which reads none", "path")
        if self.format != "arrival" and not self.path:
            raise misfit(f"is missing: format {self.format} needs one", "path")
        text = self.format in {"iso8601", "compact"}
        if not text and self.utc_offset_h is not None:
            raise misfit(f"does not apply to {self.format}, which is UTC", "utc_offset_h")
        if self.format == "compact" and self.utc_offset_h is None:
            raise misfit("is missing: a compact time names no zone", "utc_offset_h")
        return self


class ClassTable(Options):
    """What the vendor's codes or words mean."""

    path: Path = Field(min_length=1)
    table: dict[str | int, ObjectClass] = Field(min_length=1, max_length=256)
    otherwise: ObjectClass = ObjectClass.UNKNOWN


class DynamicTable(Options):
    """The vendor's words for how an object moves."""

    path: Path = Field(min_length=1)
    table: dict[str | int, DynamicProperty] = Field(min_length=1, max_length=256)
    otherwise: DynamicProperty = DynamicProperty.UNKNOWN


class Extent(Options):
    """Outer dimensions; all three, or a size is not stated."""

    length: Length
    width: Length
    height: Length | None = Field(None, description="null: not measured, 1.5 m is said.")


class DeviceMatch(Options):
    """Only documents of this device are read."""

    path: Path = Field(min_length=1)
    equals: str | int


class Accuracy(Options):
    """1 σ of the radar's measurements, along and across the line of sight: no vendor's JSON states
    it per object, the data sheet does. Reported coordinates, whatever their frame, came from
    range and azimuth."""

    range_std: Positive = Field(description="m.")
    azimuth_std: Positive = Field(le=30.0, description="Degrees.")
    radial_speed_std: Positive = Field(description="m/s, along the line of sight.")
    tangential_speed_std: Positive = Field(description="m/s, across it.")


class MappingOptions(Options):
    """One vendor's document."""

    objects: Path = Field(description="The list of objects.")
    time: TimeOptions
    device: DeviceMatch | None = None
    id: Path = Field(
        min_length=1, description="The object's number or name, the same in all lists."
    )
    position: Position
    velocity: Velocity
    object_class: ClassTable | None = None
    dynamic: DynamicTable | None = None
    existence: Share | None = None
    rcs: Quantity | None = Field(None, description="dBm².")
    size: Extent | None = None
    heading: Direction | None = None
    accuracy: Accuracy

    @model_validator(mode="after")
    def _fields_are_read_once(self) -> Self:
        seen: dict[str, str] = {}
        for name, path in self._coordinates():
            if path in seen:
                raise misfit(f"reads the same field {path!r} as {seen[path]}", *name.split("."))
            seen[path] = name
        return self

    @model_validator(mode="after")
    def _angles_fit(self) -> Self:
        if isinstance(self.velocity, RadialVelocity) and self.heading is None:
            least = 5.0  # m/s: a road user that crosses at 18 km/h shows no radial speed
            if self.accuracy.tangential_speed_std < least:
                raise misfit(
                    "is too sure: a radial speed says nothing across the line of sight "
                    f"(at least {least:g} m/s)", "accuracy", "tangential_speed_std",
                )  # fmt: skip
        return self

    def _coordinates(self) -> Iterator[tuple[str, str]]:
        yield "id", self.id
        for section in ("position", "velocity", "size"):
            model = getattr(self, section)
            for name in type(model).model_fields if model is not None else ():
                value = getattr(model, name)
                # A vendor may use one field as heading and as course, but no two coordinates.
                if isinstance(value, Quantity):
                    yield f"{section}.{name}", value.path
