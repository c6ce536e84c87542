"""A scenario as option models: demand, weather, a script of actions, and what must be reported.

In: validated YAML (`load`). Out: frozen models that the world (`rsu.sim.world`) and the devices
(`rsu.sim.source`) act on, and that the expectation check (`expectations`) holds a recording
against. Times are seconds after the start of the scenario; lanes are the site map's.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from rsu.config.base import Identifier, NonNegative, Options, Positive, Probability, UtcTime, misfit
from rsu.sim.world.scene import Light


class Action(Options):
    """Something that happens at a time."""

    at_s: NonNegative = Field(description="When it happens, s after the start.")


class StopVehicle(Action):
    """The next vehicle past `station` on `lane` comes to a stop there and stands."""

    do: Literal["stop-vehicle"]
    lane: str
    station: NonNegative = Field(description="m along the lane.")
    duration_s: Positive


class WrongWay(Action):
    """A car drives the exit lane `lane` against its direction, towards the junction, and turns off
    the map through the entry lane beside it."""

    do: Literal["wrong-way"]
    lane: str
    speed: Positive = Field(8.0, description="m/s.")


class WalkOnCarriageway(Action):
    """A person walks along a vehicle lane."""

    do: Literal["walk-on-carriageway"]
    lane: str
    from_station: NonNegative
    to_station: NonNegative
    speed: Positive = Field(1.3, description="m/s.")


class StepOut(Action):
    """A person crosses `lane` at `station` in front of the next vehicle there, timed so that both
    would meet `margin_s` apart if neither reacted; the driver brakes late."""

    do: Literal["step-out"]
    lane: str
    station: NonNegative
    margin_s: NonNegative = 0.5


class RunRedLight(Action):
    """The next vehicle on `lane` ignores the light."""

    do: Literal["run-red-light"]
    lane: str


class DriveAt(Action):
    """The next vehicle to enter by `lane` drives at `factor` times every speed limit."""

    do: Literal["drive-at"]
    lane: str
    factor: Positive = Field(le=3.0, description="Above 1.1 it speeds, below 0.4 it is slow.")


class DropDebris(Action):
    """Something lies on the lane."""

    do: Literal["drop-debris"]
    lane: str
    station: NonNegative
    size: tuple[Positive, Positive, Positive] = Field(
        (0.8, 0.6, 0.5), description="Length, width, height, m."
    )
    duration_s: Positive


class ParkIllegally(Action):
    """A vehicle parks on `lane` or in the zone `zone` (a fire lane, a no-stopping area)."""

    do: Literal["park-illegally"]
    lane: str | None = None
    station: NonNegative = 0.0
    zone: str | None = None
    duration_s: Positive

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.lane is None) == (self.zone is None):
            raise misfit("exactly one of lane and zone says where", "lane")
        return self


class BlockExit(Action):
    """Traffic leaving by `lane` stands behind an obstacle beyond the map: it spills back."""

    do: Literal["block-exit"]
    lane: str
    duration_s: Positive


class ChangeDemand(Action):
    """Traffic from now on."""

    do: Literal["change-demand"]
    vehicles_per_hour: NonNegative | None = None
    pedestrians_per_hour: NonNegative | None = None


class SendVehicle(Action):
    """A special vehicle enters by `lane` and leaves by `to_lane`; it asks for priority if told."""

    do: Literal["send-vehicle"]
    kind: Literal["emergency", "bus"]
    lane: str
    to_lane: str
    requests: Literal["none", "srm", "vir", "both"] = "none"
    stop_station: NonNegative | None = Field(None, description="A bus stop on `lane`, m.")
    dwell_s: NonNegative = Field(15.0, description="How long it stands at the stop, s.")


class ParkingDemand(Action):
    """Cars come to park in `lot` from now on, and leave after their dwell time."""

    do: Literal["parking-demand"]
    lot: str
    arrivals_per_hour: NonNegative
    dwell_s: Positive = Field(600.0, description="Mean, s; exponential.")
    initially: Probability = Field(0.0, description="Share of bays that are taken at the start.")


class ChangeWeather(Action):
    """Light and weather from now on."""

    do: Literal["change-weather"]
    light: Light = Light.DAY
    rain: Probability = 0.0
    visibility: Positive = Field(20_000.0, description="Meteorological optical range, m.")


class Flood(Action):
    """Water stands on `lane` around `station`."""

    do: Literal["flood"]
    lane: str
    station: NonNegative
    length: Positive = Field(20.0, description="m along the lane.")
    depth: Positive = Field(0.3, description="m at the deepest; rises over a minute.")
    duration_s: Positive


class FailSensor(Action):
    """A camera, radar or other device fails and comes back."""

    do: Literal["fail-sensor"]
    sensor: Identifier
    how: Literal["gone", "frozen", "black", "late"] = "gone"
    duration_s: Positive


class SkewSensor(Action):
    """The clock of a camera or radar is off, and nothing else: what it sees is dated `by_s` later
    than it was (negative: earlier)."""

    do: Literal["skew-sensor"]
    sensor: Identifier
    by_s: float = Field(ge=-5.0, le=5.0)
    duration_s: Positive


class MoveSensor(Action):
    """A camera or radar is knocked askew while its calibration stays as it was: turned to the left
    by `turn` degrees and pushed by `east` and `north` m. What it reports is off accordingly."""

    do: Literal["move-sensor"]
    sensor: Identifier
    turn: float = Field(0.0, ge=-180.0, le=180.0, description="Degrees, counter-clockwise.")
    east: float = Field(0.0, ge=-50.0, le=50.0, description="m.")
    north: float = Field(0.0, ge=-50.0, le=50.0, description="m.")
    duration_s: Positive


class SilenceController(Action):
    """The signal controller says nothing; the lights go on as they were."""

    do: Literal["silence-controller"]
    duration_s: Positive


class StepClock(Action):
    """The unit's wall clock jumps."""

    do: Literal["step-clock"]
    by_s: float = Field(ge=-3600.0, le=3600.0)


AnyAction = Annotated[
    StopVehicle | WrongWay | WalkOnCarriageway | StepOut | RunRedLight | DriveAt | DropDebris
    | ParkIllegally | BlockExit | ChangeDemand | SendVehicle | ParkingDemand | ChangeWeather
    | Flood | FailSensor | SkewSensor | MoveSensor | SilenceController | StepClock,
    Field(discriminator="do"),
]  # fmt: skip


class WeatherOptions(Options):
    """Light and weather at the start."""

    light: Light = Light.DAY
    rain: Probability = Field(0.0, description="0 none .. 1 heavy (16 mm/h).")
    visibility: Positive = Field(20_000.0, description="Meteorological optical range, m.")


Window = tuple[NonNegative, NonNegative]
"""From, until: s after the start."""


class Expectation(Options):
    """One thing that must (not) be found in a recording of the scenario.

    `later` is the reason why this cannot be fulfilled yet; the check then reports it as expected
    to fail, and complains once it is fulfilled.
    """

    later: str | None = Field(None, min_length=8)


class ExpectEvent(Expectation):
    """A road event of `kind` begins within `begins_s`, on one of `lanes` (any where empty), and
    ends within `ends_s`. `count` 0: there must be none at all in `begins_s`."""

    expect: Literal["event"]
    kind: str
    begins_s: Window
    ends_s: Window | None = None
    lanes: tuple[str, ...] = ()
    count: int = Field(1, ge=0)


class ExpectMessage(Expectation):
    """Messages of a name on the air within `during_s`: their mean rate is within `rate_hz`."""

    expect: Literal["message"]
    message: str
    profile: str | None = None
    during_s: Window
    rate_hz: Window


class ExpectDecision(Expectation):
    """The decision log holds this reason for this subject within `during_s` (a subject ending in
    `*` is a prefix)."""

    expect: Literal["decision"]
    subject: str
    reason: str
    during_s: Window


class ExpectHealth(Expectation):
    """A sensor has been in `state`, or the unit had `capability`, at some time in `during_s`."""

    expect: Literal["health"]
    sensor: str | None = None
    state: str | None = None
    capability: str | None = None
    during_s: Window

    @model_validator(mode="after")
    def _of_something(self) -> Self:
        if (self.sensor is None) != (self.state is None):
            raise misfit("sensor and state belong together", "sensor")
        if self.sensor is None and self.capability is None:
            raise misfit("says nothing: give sensor and state, or capability", "expect")
        return self


class ExpectScore(Expectation):
    """A number of `rsu score` (its dotted name in the JSON output) lies within bounds."""

    expect: Literal["score"]
    name: str
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise misfit("needs at_least or at_most", "name")
        return self


AnyExpectation = Annotated[
    ExpectEvent | ExpectMessage | ExpectDecision | ExpectHealth | ExpectScore,
    Field(discriminator="expect"),
]


class Scenario(Options):
    """One scenario of one site."""

    title: str = Field(min_length=1, max_length=120)
    site: Path = Field(description="Site file, relative to this file.")
    seed: int = Field(1, ge=0)
    start_utc: UtcTime = "2025-06-16T07:00:00Z"
    duration_s: Positive = Field(60.0, le=86_400.0)
    vehicles_per_hour: NonNegative | None = Field(None, description="None: as the site says.")
    pedestrians_per_hour: NonNegative | None = None
    weather: WeatherOptions = WeatherOptions()
    script: tuple[AnyAction, ...] = ()
    expect: tuple[AnyExpectation, ...] = Field(min_length=1)
