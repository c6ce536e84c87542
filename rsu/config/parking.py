"""Section `bay_sensors`: how bay sensors are reached, and which of them lies in which bay.

`bay_mqtt` reads any JSON that a gateway publishes, by a mapping as radars have one
(`rsu.config.radar_mapping`): a new vendor needs no code.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from rsu.config.base import NonNegative, Options, Positive, misfit
from rsu.config.devices import DeviceOptions, MqttOptions
from rsu.config.radar_mapping import DeviceMatch, Path, Share, TimeOptions

BayName = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class BayBase(DeviceOptions):
    """What every source of bay readings shares."""

    late_s: Positive = Field(
        900.0, description="Nothing usable for this long, s: the source is `late`. Bay sensors "
        "speak when a bay changes, and else every few minutes to hours."
    )  # fmt: skip


class OccupiedTable(Options):
    """What the vendor's codes or words mean: true, false, or null for not known."""

    path: Path = Field(min_length=1)
    table: dict[str | int, bool | None] = Field(min_length=1, max_length=64)
    otherwise: bool | None = None


class BayReliability(Options):
    """How often a sensor is right: from its data sheet, or counted at the site. Magnetic sensors
    are sold with 95 to 99 %."""

    detects: float = Field(
        0.97, gt=0.5, lt=1.0, description="Chance that an occupied bay is called occupied."
    )
    false_alarm: float = Field(
        0.03, gt=0.0, lt=0.5, description="Chance that a free bay is called occupied."
    )


class BayMapping(Options):
    """One vendor's document."""

    readings: Path = Field("", description='Reading or list of readings; "": the document.')
    bay: Path | None = Field(None, description="The sensor's or bay's name, from the reading on.")
    topic_level: int | None = Field(
        None, ge=0, le=32, description="Or it is this level of the topic, from 0."
    )
    occupied: OccupiedTable
    time: TimeOptions
    battery: Share | None = None
    device: DeviceMatch | None = None

    @model_validator(mode="after")
    def _names_the_bay(self) -> Self:
        if bool(self.bay) == (self.topic_level is not None):
            raise misfit("exactly one of bay and topic_level says which bay it is", "bay")
        return self


class BayMqttOptions(BayBase, MqttOptions):
    """Bay sensors behind a gateway that publishes to a broker."""

    driver: Literal["bay_mqtt"]
    mapping: BayMapping
    bays: dict[str, BayName] | None = Field(
        None, min_length=1, max_length=4096,
        description="Vendor's name → bay of the site map; null: the names are the same.",
    )  # fmt: skip
    reliability: BayReliability = BayReliability()
    latency_s: NonNegative = Field(
        0.5, le=60.0, description="From sensing to arrival, s, where no time is stated."
    )
    max_age_s: Positive = Field(
        86_400.0, description="Older readings, s, are dropped. A sensor that speaks on change is "
        "right until it speaks again; the reading carries its age (a day: usual heartbeat)."
    )  # fmt: skip
    max_ahead_s: NonNegative = Field(
        2.0, description="Readings from later than this are dropped, s (stamps of whole seconds, "
        "rounded, and a gateway's clock)."
    )  # fmt: skip

    @model_validator(mode="after")
    def _each_bay_once(self) -> Self:
        first: dict[str, str] = {}
        for name, bay in (self.bays or {}).items():
            if bay in first:
                raise misfit(f"bay '{bay}' already has the sensor '{first[bay]}'", "bays", name)
            first[bay] = name
        return self

    @model_validator(mode="after")
    def _time_has_one_origin(self) -> Self:
        if self.mapping.time.format != "arrival" and "latency_s" in self.model_fields_set:
            raise misfit("is for sensors without a time of their own, mapping.time reads one",
                         "latency_s")  # fmt: skip
        return self


BaySensor = Annotated[BayMqttOptions, Field()]
"""A union by `driver` as soon as there is a second driver of ours."""
