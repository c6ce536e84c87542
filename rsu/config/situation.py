"""Section `situation`: what the scene means. Defaults are explained in docs/situation.md."""

from typing import Literal, Self

from pydantic import Field, model_validator

from rsu.config.base import NonNegative, Options, Positive, Probability
from rsu.config.priority import PriorityOptions


class TrafficOptions(Options):
    """Traffic state per lane, approach and movement. docs/traffic.md explains the defaults."""

    period_s: int = Field(10, ge=1, le=900, description="Length of a traffic state, s of UTC.")
    summaries_s: tuple[int, ...] = Field(
        (60, 300, 900), description="Lengths of summaries, s of UTC; multiples of `period_s`."
    )

    @model_validator(mode="after")
    def _periods_fit(self) -> Self:
        odd = [one for one in self.summaries_s if one <= 0 or one % self.period_s]
        if odd:
            raise ValueError(f"{odd[0]} s is no multiple of period_s, {self.period_s} s")
        return self


class ParkingOptions(Options):
    """States of parking bays. docs/parking.md explains the defaults."""

    unknown_after_s: float = Field(
        120.0, ge=5.0, le=86_400.0, description="A bay that nobody watches is unknown after this "
        "long, s, at the latest."
    )  # fmt: skip
    sensor_max_age_s: float = Field(
        1800.0, ge=1.0, le=604_800.0, description="A bay sensor's word holds this long, s, while "
        "its source is live: longer than the longest silence of its sensors."
    )  # fmt: skip
    aisle_after_s: Positive = Field(
        60.0, description="A vehicle that stands in an aisle this long, s, blocks it."
    )
    guidance_s: Positive = Field(
        600.0, description="A vehicle is guided for at most this long, s, after it asked."
    )
    closed: tuple[str, ...] = Field((), description="Bays that are closed to everybody.")


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
        0.9, description="Least probability of being on the carriageway and on no crossing."
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


WarningKind = Literal["vru-warning", "collision-warning", "rear-end-warning", "red-light-warning"]


class WarningCodes(Options):
    """What one kind of warning is called on the air; neither table has a code for it."""

    code: int | None = Field(None, ge=0, le=65535, description="Event code in RSI, by agreement.")
    itis: int | None = Field(None, ge=1, le=65535, description="ITIS code in TIM and RSM.")


class WarningOptions(Options):
    """Warnings of conflicts ahead."""

    enabled: bool = Field(
        False, description="Whether conflicts are looked for; see docs/warnings.md before."
    )
    kinds: tuple[WarningKind, ...] = Field(
        ("vru-warning",),
        description="Which are told: vru-warning, collision-warning, rear-end-warning, "
        "red-light-warning.",
    )
    period_s: float = Field(0.2, ge=0.1, le=1.0, description="Time between two looks, s.")
    horizon_s: float = Field(4.0, ge=1.5, le=4.0, description="How far ahead is warned, s.")
    probability: float = Field(
        0.5, ge=0.1, le=0.95, description="Probability of a conflict from which on is warned."
    )
    surprise_probability: float = Field(
        0.25,
        ge=0.1,
        le=0.95,
        description="The same for people who step onto the road where drivers do not look for "
        "them: one that is missed weighs as much as three that were needless.",
    )
    runner_speed: float = Field(
        4.0, gt=0.0, description="Slower vehicles are not taken for red-light runners, m/s."
    )
    beside_m: float = Field(
        0.3, ge=0.0, description="Who is on a crossing this far beside a vehicle's path waits, m."
    )
    codes: dict[str, WarningCodes] = Field(
        {}, description="Codes on the air by kind of warning; without one it is not said there."
    )


class SituationOptions(Options):
    """Traffic, parking, events, warnings and signal priority."""

    traffic: TrafficOptions = TrafficOptions()
    parking: ParkingOptions = ParkingOptions()
    events: EventOptions = EventOptions()
    warnings: WarningOptions = WarningOptions()
    priority: PriorityOptions = PriorityOptions()
