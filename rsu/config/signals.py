"""Section `signals`: how each signal controller is reached, and which of its lights is which group.

`tscbm` listens to the datagrams of NTCIP controllers, `gbt20999` asks a GB/T 20999 controller,
`fixed_plan` claims what a plan written here says. Everywhere a *group* is the number of a signal
group in the site's map; a green is said to be protected only where the file says so, since no
controller tells.
"""

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from rsu.config.base import Identifier, NonNegative, Options, Positive, UtcTime, misfit
from rsu.config.devices import DeviceOptions, Port
from rsu.schema.signals import ControllerFlag, LightState

Group = Annotated[int, Field(ge=1, le=254)]
"""SignalGroupID without 0 (unknown) and 255 (always green), SAE J2735; T/CSAE PhaseID holds it."""
TimeOfDay = Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEK: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class SignalBase(DeviceOptions):
    """What every signal controller shares."""

    intersection: int | None = Field(
        None, ge=0, le=65535, description="Whose lights these are; null: `site.intersection`."
    )


class GroupOptions(Options):
    """One signal group of the map."""

    group: Group
    protected: bool = Field(
        False, description="Its green meets nobody who may go too; false: permissive."
    )


class TscbmGroup(GroupOptions):
    """Which output of the controller shows a group's light."""

    kind: Literal["vehicle", "pedestrian", "overlap"] = "vehicle"
    number: int = Field(ge=1, le=16, description="Number of the phase or overlap.")


NEMA_PHASES = tuple(TscbmGroup(group=number, number=number) for number in range(1, 9))
"""The eight vehicle phases of the NEMA dual ring; higher ones report red even where unused."""


class TscbmOptions(SignalBase):
    """A controller that sends TSCBM datagrams (NTCIP 1202 SPaT data)."""

    driver: Literal["tscbm"]
    listen_host: str = Field("0.0.0.0", description="Address to listen on.")  # noqa: S104 - the controller is another box
    listen_port: Port = Field(6053, description="The port of V2X-Hub's tests (SAE facts 4.4).")
    sender: str | None = Field(
        None, min_length=1, description="Only datagrams from this address; null: from any."
    )
    groups: tuple[TscbmGroup, ...] = Field(NEMA_PHASES, min_length=1, max_length=48)
    versions: tuple[int, ...] = Field(
        (1, 2), min_length=1, max_length=32, description="Versions of the datagram to believe: 1 "
        "is what known controllers send, 2 what the current text says; one layout."
    )  # fmt: skip
    status_bits: tuple[ControllerFlag | None, ...] = Field(
        (), max_length=8, description="What the bits of the intersection status mean, from 0x01 "
        "up. Public readings contradict each other, so none is said until you check yours."
    )  # fmt: skip
    pedestrian_clearance: Literal["yellow", "flashing-green"] = Field(
        "yellow", description="How `pedestrian clear` is told: in NTCIP's world nobody may start "
        "then, which J2735 calls clearance."
    )  # fmt: skip
    time: Literal["arrival", "utc", "local"] = Field(
        "arrival", description="Which clock to believe: ours, or the controller's as UTC or as "
        "local time. Known samples are hours off and have no milliseconds."
    )  # fmt: skip
    utc_offset_h: float | None = Field(
        None, ge=-12.0, le=14.0, description="For `time: local`: local time minus UTC, h."
    )
    latency_s: NonNegative = Field(
        0.05, le=1.0, description="For `time: arrival`: from the state to its arrival, s (half of "
        "the sender's period of 0.1 s; assumed)."
    )  # fmt: skip
    max_age_s: Positive = Field(
        2.0, description="For the controller's own time: older states are dropped, s."
    )
    max_ahead_s: NonNegative = Field(0.1, description="States from later than this are dropped, s.")

    @model_validator(mode="after")
    def _maps_once(self) -> Self:
        _unique(tuple(entry.group for entry in self.groups), "group")
        return self

    @model_validator(mode="after")
    def _local_time_has_a_zone(self) -> Self:
        if (self.time == "local") != (self.utc_offset_h is not None):
            raise misfit("goes with `time: local` and with nothing else", "utc_offset_h")
        return self


class LampGroup(GroupOptions):
    """Which lamp group of the controller shows a group's light."""

    lamp: int = Field(ge=1, le=255)


class Gbt20999Options(SignalBase):
    """A controller that answers GB/T 20999-2017 over UDP."""

    driver: Literal["gbt20999"]
    host: str = Field(min_length=1, description="Address of the controller.")
    port: Port
    local_port: Port | None = Field(
        None, description="Our own port, where the controller reports to a fixed one; null: any."
    )
    controller_id: int = Field(1, ge=0, le=0xFFFFFFFF, description="The controller's number.")
    centre_id: int = Field(1, ge=0, le=255, description="The number we ask under.")
    road_id: int = Field(1, ge=0, le=255, description="Which of its intersections.")
    groups: tuple[LampGroup, ...] = Field(
        (), max_length=64, description="Empty: lamp group n is group n, as many as it says it has."
    )
    rate_hz: float = Field(5.0, ge=0.1, le=20.0, description="How often it is asked.")
    timeout_s: Positive = Field(
        0.5, le=5.0, description="Answers that take longer than this are dropped, s."
    )
    escaped: bool = Field(
        False, description="Escape octets also within datagrams, which the standard does not."
    )
    lamp_attribute: int = Field(
        1, ge=1, le=255, description="Attribute of object 3 in class 3 that is the lamp's state; "
        "dialects that put the lamp's number first have 2."
    )  # fmt: skip
    countdown: bool = Field(
        True, description="Ask for stages too and tell when greens are likely to end."
    )
    commands: Literal["none", "soft_demand"] = Field(
        "none", description="soft_demand: what the unit grants (docs/priority.md) is told by "
        "setting the software demand of the group's stage; the controller remains master. none: "
        "nothing is ever set."
    )  # fmt: skip
    after_green_s: NonNegative = Field(
        0.0, le=60.0, description="What of a stage's remaining time lies after its greens, s, "
        "where the controller counts flashing green, yellow and all-red in."
    )  # fmt: skip

    @model_validator(mode="after")
    def _maps_once(self) -> Self:
        _unique(tuple(entry.group for entry in self.groups), "group")
        _unique(tuple(entry.lamp for entry in self.groups), "lamp")
        return self

    @model_validator(mode="after")
    def _knows_stages(self) -> Self:
        if self.commands != "none" and not self.countdown:
            raise misfit("needs countdown: commands name stages", "commands")
        return self


class PlanLight(Options):
    """A light and how long it shows."""

    light: LightState
    seconds: Positive


class PlanGroup(Options):
    """One group over a cycle."""

    group: Group
    starts_s: NonNegative = Field(0.0, description="Into the cycle, s: when its first light shows.")
    lights: tuple[PlanLight, ...] = Field(
        min_length=1, max_length=16, description="One after the other, together one cycle."
    )

    @model_validator(mode="after")
    def _changes(self) -> Self:
        ring = (*self.lights, self.lights[0]) if len(self.lights) > 1 else self.lights
        for i, (one, following) in enumerate(pairwise(ring)):
            if one.light is following.light:
                raise misfit("is followed by the same light: make them one", "lights", i)
        return self


class SignalPlanOptions(Options):
    """A fixed-time plan."""

    name: Identifier
    cycle_s: Positive = Field(le=600.0, description="s.")
    offset_s: float = Field(0.0, description="A cycle begins this long after the reference, s.")
    groups: tuple[PlanGroup, ...] = Field(min_length=1, max_length=64)

    @model_validator(mode="after")
    def _fills_the_cycle(self) -> Self:
        _unique(tuple(entry.group for entry in self.groups), "group")
        for i, entry in enumerate(self.groups):
            total = sum(light.seconds for light in entry.lights)
            if abs(total - self.cycle_s) > 1e-6:
                raise misfit(
                    f"last {total:g} s together, but the cycle lasts {self.cycle_s:g} s",
                    "groups", i, "lights",
                )  # fmt: skip
            if entry.starts_s >= self.cycle_s:
                raise misfit("is not within the cycle", "groups", i, "starts_s")
        return self


class PlanTime(Options):
    """From when on which plan runs."""

    plan: Identifier | None = Field(description="null: unknown what runs; nothing is claimed.")
    days: tuple[Weekday, ...] = Field(WEEK, min_length=1, max_length=7)
    at: TimeOfDay = Field(description="HH:MM, local time.")


class FixedPlanOptions(SignalBase):
    """A controller without any line to us, whose plans are known."""

    driver: Literal["fixed_plan"]
    reference_utc: UtcTime = Field(
        "1970-01-01T00:00:00Z", description="When a cycle without offset begins."
    )
    plans: tuple[SignalPlanOptions, ...] = Field(min_length=1, max_length=32)
    table: tuple[PlanTime, ...] = Field(
        (), max_length=96, description="Which plan runs when; empty: the only plan, always."
    )
    utc_offset_h: float = Field(
        0.0, ge=-12.0, le=14.0, description="Local time of the table minus UTC, h."
    )
    transition_s: NonNegative = Field(
        180.0, le=1800.0, description="After a change of plan the lights are unknown for this "
        "long, s: controllers get into step in their own ways (two long cycles; assumed)."
    )  # fmt: skip
    rate_hz: float = Field(10.0, ge=0.1, le=20.0, description="States per second.")

    @model_validator(mode="after")
    def _names_its_plans(self) -> Self:
        names = [plan.name for plan in self.plans]
        if len(set(names)) < len(names):
            raise misfit("two plans of one name", "plans")
        if not self.table and len(names) > 1:
            raise misfit("is missing: which of the plans runs when?", "table")
        for i, entry in enumerate(self.table):
            if entry.plan is not None and entry.plan not in names:
                raise misfit(f"no plan is called {entry.plan!r}", "table", i, "plan")
        moments = [(day, entry.at) for entry in self.table for day in entry.days]
        if len(set(moments)) < len(moments):
            raise misfit("has two entries for one moment", "table")
        return self


def _unique(numbers: tuple[int, ...], key: str) -> None:
    for i, number in enumerate(numbers):
        if number in numbers[:i]:
            raise misfit(f"{number} occurs twice", "groups", i, key)


Signal = Annotated[TscbmOptions | Gbt20999Options | FixedPlanOptions, Field(discriminator="driver")]
