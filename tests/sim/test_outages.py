"""Devices that fail as a scenario says: what still arrives, and what is said of their health."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from rsu.config.model import SiteConfig
from rsu.schema.health import SensorState
from rsu.schema.message import Message
from rsu.schema.sensing import CameraDetections
from rsu.schema.topics import CAMERA_DETECTIONS, SENSOR_HEALTH, SIGNAL_STATE, TRUTH
from rsu.schema.units import NS_PER_S
from rsu.sim.outages import LATE_NS, Outages, clock_steps
from rsu.sim.scenario.model import AnyAction, FailSensor, Scenario, SilenceController, StepClock
from rsu.sim.source import simulated_messages

START_NS = 1_767_225_600_000_000_000


def at(second: float) -> int:
    return START_NS + round(second * NS_PER_S)


def frame(second: float, sensor: str = "north") -> Message:
    seen = CameraDetections(
        sensor=sensor, frame=0, capture_ns=at(second), image_width=64, image_height=48,
        detections=(),
    )  # fmt: skip
    return Message.draft(CAMERA_DETECTIONS, sensor, at(second), seen)


def failing(how: str, at_s: float = 10, duration_s: float = 5) -> FailSensor:
    return FailSensor.model_validate(
        {"do": "fail-sensor", "at_s": at_s, "sensor": "north", "how": how, "duration_s": duration_s}
    )


def stepping(at_s: float, by_s: float) -> StepClock:
    return StepClock(do="step-clock", at_s=at_s, by_s=by_s)


@pytest.mark.parametrize(
    ("how", "state"),
    [
        ("gone", SensorState.GONE),
        ("frozen", SensorState.FROZEN),
        ("black", SensorState.BLIND),
    ],
)
def test_a_failed_device_gives_nothing_and_its_driver_says_why(
    how: str, state: SensorState
) -> None:
    outages = Outages([failing(how)], START_NS)
    for second, passes in ((9.9, True), (10.0, False), (14.9, False), (15.0, True)):
        message = frame(second)
        wanted = (at(second + 0.1), message) if passes else None
        assert outages.passed("north", at(second + 0.1), message) == wanted
    # Noticed a second later, and for a second longer.
    for second, told in ((10.9, None), (11.0, state), (15.9, state), (16.0, None)):
        assert outages.state("north", at(second))[0] is told
    assert outages.state("north", at(12))[1] == at(11)


def test_a_late_device_delivers_everything_late() -> None:
    outages = Outages([failing("late")], START_NS)
    message, before = frame(12), frame(9)
    assert outages.passed("north", at(9.1), before) == (at(9.1), before)
    assert outages.passed("north", at(12.1), message) == (at(12.1) + LATE_NS, message)
    assert outages.state("north", at(12))[0] is SensorState.LATE


def test_what_comes_after_late_messages_does_not_overtake_them() -> None:
    outages = Outages([failing("late")], START_NS)
    outages.passed("north", at(15.0), frame(14.9))
    assert LATE_NS == 1.5 * NS_PER_S
    punctual, other = frame(15.5), frame(15.5, "south")
    assert outages.passed("north", at(15.6), punctual) == (at(15.0) + LATE_NS, punctual)
    assert outages.passed("south", at(15.6), other) == (at(15.6), other)
    later = frame(16.5)
    assert outages.passed("north", at(16.6), later) == (at(16.6), later)


def test_only_the_device_that_is_named_fails() -> None:
    outages = Outages([failing("gone")], START_NS)
    other = frame(12, "south")
    assert outages.passed("south", at(12.1), other) == (at(12.1), other)
    assert outages.state("south", at(12)) == (None, 0)


def test_silence_is_that_of_every_controller_and_of_nobody_else() -> None:
    silence = SilenceController(do="silence-controller", at_s=10, duration_s=5)
    outages = Outages([silence], START_NS, ["one", "two"])
    for controller in ("one", "two"):
        assert outages.passed(controller, at(12), frame(12)) is None
        assert outages.state(controller, at(12))[0] is SensorState.GONE
    assert outages.passed("north", at(12), frame(12)) is not None


def test_a_device_may_fail_again() -> None:
    outages = Outages([failing("gone"), failing("frozen", at_s=30)], START_NS)
    assert [outages.state("north", at(s))[0] for s in (12, 20, 32, 40)] == [
        SensorState.GONE, None, SensorState.FROZEN, None,
    ]  # fmt: skip


def test_clock_steps_add_up() -> None:
    script = [stepping(20, 3), failing("gone"), stepping(40, -5)]
    outages = Outages(script, START_NS)
    seconds = [outages.clock_offset_ns(at(s)) / NS_PER_S for s in (19.9, 20, 39.9, 40)]
    assert seconds == [0, 3, 3, -2]
    assert clock_steps(script, START_NS) == [(at(20), 3 * NS_PER_S), (at(40), -5 * NS_PER_S)]


def played(
    config: SiteConfig, root: Path, script: Sequence[AnyAction], seconds: int
) -> list[tuple[int, Message]]:
    scenario = Scenario.model_validate(
        {
            "title": "t", "site": Path("s.yaml"), "duration_s": seconds, "script": tuple(script),
            "expect": [{"expect": "message", "message": "RSM", "during_s": (0, 1),
                        "rate_hz": (0, 1)}],
        }
    )  # fmt: skip
    quiet = config.simulation.model_copy(
        update={"vehicles_per_hour": 0.0, "pedestrians_per_hour": 0.0}
    ) if config.simulation else None  # fmt: skip
    return list(
        simulated_messages(
            config.model_copy(update={"simulation": quiet}), root / "configs", 1, START_NS,
            seconds * NS_PER_S, scenario=scenario,
        )
    )  # fmt: skip


def seconds_of(arrivals: list[tuple[int, Message]], topic: object, source: str) -> list[float]:
    """True times at which messages arrived, s after the start."""
    return [
        (arrival - START_NS) / NS_PER_S
        for arrival, message in arrivals
        if message.topic is topic and message.header.source == source
    ]


def test_a_silent_controller_is_silent_in_the_stream(junction: SiteConfig, root: Path) -> None:
    silence = SilenceController(do="silence-controller", at_s=2, duration_s=2)
    arrivals = played(junction, root, [silence], 6)
    heard = seconds_of(arrivals, SIGNAL_STATE, "cabinet")
    assert [second for second in heard if 2.0 <= second < 4.0] == []
    assert len(heard) == 40
    states = {
        round((message.payload.time_ns - START_NS) / NS_PER_S): message.payload.state
        for _, message in arrivals
        if message.topic is SENSOR_HEALTH and message.header.source == "cabinet"
    }
    live, gone = SensorState.LIVE, SensorState.GONE
    assert states == {0: live, 1: live, 2: live, 3: gone, 4: gone, 5: live}


def test_a_stepped_clock_dates_what_arrives_and_the_truth_keeps_true_time(
    junction: SiteConfig, root: Path
) -> None:
    for arrival, message in played(junction, root, [stepping(1, 60)], 2):
        late_s = (arrival - message.header.capture_ns) / NS_PER_S
        captured_s = (message.header.capture_ns - START_NS) / NS_PER_S
        if message.topic is TRUTH:
            assert late_s == 0.0
        elif message.topic is SENSOR_HEALTH:
            assert late_s in (0.0, -60.0)
            assert message.payload.time_ns == message.header.capture_ns
        elif message.topic is CAMERA_DETECTIONS:
            assert captured_s < 1 or captured_s >= 61
            assert message.payload.capture_ns == message.header.capture_ns


@pytest.mark.parametrize("by_s", [60, -60])
def test_a_stepped_clock_moves_no_outage(junction: SiteConfig, root: Path, by_s: float) -> None:
    gone = FailSensor.model_validate(
        {"do": "fail-sensor", "at_s": 2, "sensor": "north-east", "duration_s": 1}
    )
    arrivals = played(junction, root, [stepping(1, by_s), gone], 5)
    seen = [
        (message.header.capture_ns - START_NS) / NS_PER_S - by_s
        for _, message in arrivals
        if message.topic is CAMERA_DETECTIONS
        and message.header.source == "north-east"
        and abs(message.header.capture_ns - START_NS) > 30 * NS_PER_S
    ]
    assert [second for second in seen if 2.0 <= second < 3.0] == []
    assert len(seen) == 30  # of 40 after the step
