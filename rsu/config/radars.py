"""Section `radars`: how each radar is reached, where it hangs, how well it measures.

`ars408` speaks CAN and is described by a DBC, so that dialects are configuration; `json_udp` and
`json_mqtt` read any JSON by a mapping (`rsu.config.radar_mapping`). Every radar says where it hangs
(`mount`), since all positions leave the driver in the site frame.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from rsu.config.base import NonNegative, Options, Positive, Probability, misfit
from rsu.config.devices import DeviceOptions, MqttOptions, Port
from rsu.config.radar_mapping import MappingOptions
from rsu.schema.sensing import DynamicProperty, ObjectClass

LINEAR_RMS = tuple(round(0.005 * 2000.0 ** (i / 30), 3) for i in range(31))
ANGLE_RMS = tuple(round(0.005 * 36_000.0 ** (i / 30), 3) for i in range(31))
"""What index 0..30 of a quality field means, m, m/s or degrees: geometric from 0.005 to 10 and to
180 (ends: perception facts §4; the supplier's rounded values lie on this curve). 31: not valid."""


class MountOptions(Options):
    """Where a radar hangs and where it looks, in the site frame."""

    x: float = Field(description="East of the origin, m.")
    y: float = Field(description="North of the origin, m.")
    z: float = Field(1.0, ge=0.0, le=30.0, description="Height above the road plane, m.")
    heading: float = Field(ge=0.0, lt=360.0, description="Axis, degrees clockwise from north.")
    flipped: bool = Field(
        False, description="Mounted upside down: what it calls left is to the right."
    )
    position_std: NonNegative = Field(0.1, description="1 σ of x and y as surveyed, m.")
    heading_std: NonNegative = Field(
        0.2, description="1 σ of the heading, degrees: 0.35 m at 100 m."
    )


class RadarBase(DeviceOptions):
    """What every radar shares."""

    mount: MountOptions
    latency_s: NonNegative = Field(
        0.05, le=2.0, description="From measuring to arrival, s, where the radar states no time "
        "(of the order of a measuring cycle; measure it)."
    )  # fmt: skip
    max_range: Positive = Field(250.0, description="Objects farther away, m, are dropped.")
    reference_std: NonNegative = Field(
        0.5, description="1 σ, m, of where on the object the radar puts its point: not always "
        "the footprint's centre (assumed; a quarter of a car's width and length between)."
    )  # fmt: skip


class CanBusOptions(Options):
    """A CAN bus as python-can opens it."""

    interface: str = Field(
        "socketcan", min_length=1, description="python-can's name: socketcan, pcan, virtual, "
        "udp_multicast …"
    )  # fmt: skip
    channel: str = Field("can0", min_length=1, description="can0, PCAN_USBBUS1, 239.74.163.2 …")
    bitrate: int | None = Field(
        500_000, ge=10_000, le=1_000_000,
        description="bit/s; for socketcan set by the system (`ip link`), not here.",
    )  # fmt: skip
    extra: dict[str, bool | int | float | str] = Field(
        {}, description="Further arguments of python-can for this interface."
    )


class Ars408Messages(Options):
    """Names in the DBC of the four messages of an object list."""

    status: str = "Obj_0_Status"
    general: str = "Obj_1_General"
    quality: str | None = Field("Obj_2_Quality", description="null: the radar sends none.")
    extended: str | None = Field("Obj_3_Extended", description="null: the radar sends none.")


class Ars408Tables(Options):
    """What the numbers of enumerated fields mean. Dialects differ: the supplier's own table for
    DynProp is the default, some open drivers have an older one (perception facts §4)."""

    dynamic: tuple[DynamicProperty, ...] = Field(
        (
            DynamicProperty.MOVING, DynamicProperty.STATIONARY, DynamicProperty.ONCOMING,
            DynamicProperty.STATIONARY_CANDIDATE, DynamicProperty.UNKNOWN,
            DynamicProperty.CROSSING_STATIONARY, DynamicProperty.CROSSING_MOVING,
            DynamicProperty.STOPPED,
        ),
        min_length=1, max_length=16, description="By DynProp, from 0.",
    )  # fmt: skip
    classes: tuple[ObjectClass, ...] = Field(
        (
            ObjectClass.UNKNOWN, ObjectClass.CAR, ObjectClass.TRUCK, ObjectClass.UNKNOWN,
            ObjectClass.MOTORCYCLE, ObjectClass.BICYCLE, ObjectClass.UNKNOWN, ObjectClass.UNKNOWN,
        ),
        min_length=1, max_length=16,
        description="By Class, from 0: point, car, truck, –, motorcycle, bicycle, wide, –. A point "
        "or something wide is not known to be any of our classes.",
    )  # fmt: skip
    existence: tuple[Probability | None, ...] = Field(
        (None, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1.0), min_length=1, max_length=16,
        description="By ProbOfExist, from 0; null: not stated.",
    )  # fmt: skip
    linear_rms: tuple[Positive, ...] = Field(
        LINEAR_RMS, min_length=1, max_length=32, description="m or m/s by index; beyond: invalid."
    )
    angle_rms: tuple[Positive, ...] = Field(
        ANGLE_RMS, min_length=1, max_length=32, description="Degrees by index; beyond: invalid."
    )
    deleted: tuple[int, ...] = Field(
        (0, 4), max_length=16, description="MeasState of objects that are no more (deleted, "
        "deleted for a merge)."
    )  # fmt: skip


class Ars408Options(RadarBase):
    """A radar of the ARS408 family on a CAN bus."""

    driver: Literal["ars408"]
    bus: CanBusOptions = CanBusOptions()
    sensor_id: int = Field(
        0, ge=0, le=7, description="Added to every CAN id as sensor_id × 0x10 (several radars on "
        "one bus)."
    )  # fmt: skip
    database: Path | None = Field(
        None, description="DBC of a dialect, relative to the site file; null: ours."
    )
    messages: Ars408Messages = Ars408Messages()
    signals: dict[str, str] = Field(
        {}, description="Our signal name → the dialect's, where they differ (`Obj_ID: ID`)."
    )
    tables: Ars408Tables = Ars408Tables()
    stamps: Literal["bus", "arrival"] = Field(
        "bus", description="bus: python-can's receiving time corrects for the wait in queues; "
        "arrival: the moment of reading (simulated time)."
    )  # fmt: skip
    distance_std: Positive = Field(
        1.0, description="1 σ, m, along and across where the radar states no valid quality."
    )
    speed_std: Positive = Field(1.0, description="1 σ, m/s, where it states no valid quality.")


class JsonAges(Options):
    """How far a radar's own clock may be off."""

    max_age_s: Positive = Field(
        2.0, description="Older lists, s, are dropped: tracks of 2 s ago are gone (fusion)."
    )
    max_ahead_s: NonNegative = Field(0.1, description="Lists from later than this are dropped, s.")


class JsonRadarBase(RadarBase):
    """A radar whose JSON is described by a mapping."""

    mapping: MappingOptions
    ages: JsonAges = JsonAges()

    @model_validator(mode="after")
    def _time_has_one_origin(self) -> Self:
        if self.mapping.time.format != "arrival" and "latency_s" in self.model_fields_set:
            raise misfit("is for radars without a time of their own, mapping.time reads one",
                         "latency_s")  # fmt: skip
        return self


class JsonUdpRadarOptions(JsonRadarBase):
    """One JSON document per datagram."""

    driver: Literal["json_udp"]
    listen_host: str = Field("0.0.0.0", description="Address to listen on.")  # noqa: S104 - a radar is another box
    listen_port: Port


class JsonMqttRadarOptions(JsonRadarBase, MqttOptions):
    """One JSON document per MQTT message."""

    driver: Literal["json_mqtt"]


Radar = Annotated[
    Ars408Options | JsonUdpRadarOptions | JsonMqttRadarOptions, Field(discriminator="driver")
]
