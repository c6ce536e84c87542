"""Section `situation`: what the scene means. Defaults are explained in docs/situation.md."""

from pydantic import Field

from rsu.config.base import NonNegative, Options, Positive, Probability
from rsu.config.priority import PriorityOptions


class TrafficOptions(Options):
    """Traffic state per lane."""


class ParkingOptions(Options):
    """States of parking bays."""


class EventOptions(Options):
    """Road events: what counts as one. docs/events.md explains the defaults."""

    off: tuple[str, ...] = Field((), description="Kinds that are not told.")
    free_s: Positive = Field(
        1.0, description="A vehicle that stands with a free road before it this long, s, is a "
        "stopped vehicle."
    )  # fmt: skip
    parked_after_s: Positive = Field(
        60.0, description="… and is parked illegally from then on, s after it came to rest."
    )
    fire_lane_after_s: Positive = Field(1.0, description="In a fire lane one may stand so long, s.")
    speeding_share: Positive = Field(1.1, description="Of the limit, above which one speeds.")
    slow_share: Positive = Field(0.4, description="Of the limit, below which one is slow …")
    slow_after_s: Positive = Field(5.0, ge=4.0, le=60.0, description="… for this long, s.")
    wrong_way_distance: Positive = Field(4.0, description="Way against a lane's direction, m.")
    pedestrian_chance: Probability = Field(
        0.85, description="Least probability of being on the carriageway and on no crossing."
    )
    red_margin_s: NonNegative = Field(
        0.5, description="Red must have been on this long, s, when the line is passed."
    )
    congestion_window_s: Positive = Field(
        60.0, ge=10.0, le=600.0, description="Traffic is judged over this long, s: a cycle or more."
    )
    congestion_speed_share: Positive = Field(
        0.3, description="Of the limit, at or below which traffic is slow."
    )
    congestion_density: Positive = Field(
        0.028, description="Vehicles per metre of lane from which traffic is dense."
    )
    water_depth: Positive = Field(0.005, description="m of water that count.")
    visibility: Positive = Field(200.0, description="m of visibility below which is told.")
    weather_max_age_s: Positive = Field(
        180.0, description="Words of weather and road sensors hold this long, s."
    )


class WarningOptions(Options):
    """Warnings of conflicts ahead."""


class SituationOptions(Options):
    """Traffic, parking, events and warnings."""

    traffic: TrafficOptions = TrafficOptions()
    parking: ParkingOptions = ParkingOptions()
    events: EventOptions = EventOptions()
    warnings: WarningOptions = WarningOptions()
    priority: PriorityOptions = PriorityOptions()
