"""Single looks, bays, SPAT and what counts, on cases made by hand."""

from __future__ import annotations

import math
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rsu.cli.main import run_command
from rsu.config.model import SiteConfig
from rsu.recording.reader import read_messages
from rsu.schema.parking import BayState, BayStatus, ParkingState
from rsu.schema.reports import Truth, TruthBay, TruthLight, TruthObject
from rsu.schema.sensing import ObjectClass, RadarObject, RadarObjects
from rsu.schema.signals import LightState
from rsu.schema.topics import TRUTH, V2X_TX
from rsu.schema.units import NS_PER_MS, Cov2, Size, Vec2
from rsu.sim.score import score_recording
from rsu.sim.score.coverage import Coverage
from rsu.sim.score.looks import Looks
from rsu.sim.score.moments import scene_of
from rsu.sim.score.statements import Bays, Lights

NOW = 1_750_000_000_000_000_000


def truth(*places: tuple[float, float], **more: Any) -> Truth:
    return Truth(
        time_ns=NOW,
        objects=tuple(
            TruthObject(
                id=number, object_class=ObjectClass.CAR, position=Vec2(x, y), heading=0.0,
                speed=0.0, size=Size(4.5, 1.8, 1.5),
            )
            for number, (x, y) in enumerate(places)
        ),
        **more,
    )  # fmt: skip


def test_only_what_a_sensor_looks_at_counts(junction: SiteConfig) -> None:
    cameras = junction.model_copy(update={"radars": ()})
    # South-west camera: at (-16, -16), looking north-east, 90° wide; the other the reverse.
    places = [(0.0, 0.0), (40.0, 40.0), (16.0, 16.0), (-14.0, -3.5), (60.0, -200.0)]
    seen = Coverage(cameras).sees(scene_of(truth(*places))).tolist()
    # The middle; along the view; under one camera but before the other; as well; out of reach.
    assert seen == [True, True, True, True, False]
    one = junction.model_copy(update={"radars": (), "cameras": junction.cameras[:1]})
    assert not Coverage(one).sees(scene_of(truth((40.0, 40.0)))).any()  # behind it
    # Three quarters out of the image does not count as visible, half in does.
    edge = [(x, 16.0 - 40.0) for x in np.arange(16.0 - 1.0, 16.0 + 5.0, 0.1).tolist()]
    along = Coverage(one).sees(scene_of(truth(*edge)))
    first_out = edge[int(np.flatnonzero(~along)[0])][0]
    # The image's right edge is 45° left and right of south-west, so due south of the camera.
    assert first_out == pytest.approx(16.0, abs=0.8)


def test_a_radar_sees_its_cones(junction: SiteConfig) -> None:
    """At (-14, -3.5), looking west: ±60° to 70 m, ±9° beyond; nothing counts beyond 120 m."""
    only = junction.model_copy(update={"cameras": ()})

    def at(distance: float, degrees: float) -> tuple[float, float]:
        angle = math.radians(180.0 + degrees)
        return -14.0 + distance * math.cos(angle), -3.5 + distance * math.sin(angle)

    places = [at(60, 55), at(60, -65), at(100, 8), at(100, 11), at(110, 0), at(20, 170)]
    seen = Coverage(only).sees(scene_of(truth(*places))).tolist()
    assert seen == [True, False, True, False, False, False]


def test_single_looks(junction: SiteConfig) -> None:
    looks = Looks(Coverage(junction))

    def said(number: int, x: float, y: float) -> RadarObject:
        return RadarObject(
            object_id=number, position=Vec2(x, y), position_cov=Cov2(1.0, 0.0, 1.0),
            velocity=Vec2(0.0, 0.0), velocity_cov=Cov2(1.0, 0.0, 1.0),
        )  # fmt: skip

    cycle = RadarObjects(
        sensor="west", cycle=1, capture_ns=NOW,
        objects=(said(1, -41.0, -3.5), said(2, -61.0, 20.0), said(3, 10.0, 0.0)),
    )  # fmt: skip
    # Before it: one found, one not; behind it: one that it cannot see, yet something is told there.
    looks.take(cycle, NOW + 50 * NS_PER_MS, truth((-40.0, -3.5), (-60.0, -3.5), (10.0, 0.0)))
    numbers = looks.numbers()
    assert numbers["sensor.west.recall"] == pytest.approx(1 / 2)
    assert numbers["sensor.west.precision"] == pytest.approx(2 / 3)
    assert numbers["sensor.west.range.040-060m.recall"] == 1.0
    assert numbers["sensor.west.range.060-080m.recall"] == 0.0
    assert numbers["sensor.west.age_ms.p50"] == pytest.approx(50.0)


def test_bays_told_are_right_or_wrong_and_unknown_is_neither() -> None:
    def told(bay: str, status: BayStatus) -> BayState:
        return BayState(bay=bay, status=status, occupied_probability=0.5, since_ns=NOW)

    bays = Bays()
    bays.said(
        ParkingState(
            lot="west", time_ns=NOW,
            bays=(told("a", BayStatus.OCCUPIED), told("b", BayStatus.OCCUPIED),
                  told("c", BayStatus.UNKNOWN), told("d", BayStatus.FREE),
                  told("elsewhere", BayStatus.FREE)),
        ),
        truth(bays=(TruthBay(bay="a", object=1), TruthBay(bay="b", object=None),
                    TruthBay(bay="c", object=2), TruthBay(bay="d", object=None))),
    )  # fmt: skip
    assert bays.numbers() == {
        "bays.accuracy": pytest.approx(2 / 3), "bays.accuracy_at_once": pytest.approx(2 / 3),
        "bays.known": 0.75,
    }  # fmt: skip


def test_a_bay_that_has_just_changed_counts_only_at_once() -> None:
    def world(at_ns: int, taken: int | None) -> Truth:
        return Truth(time_ns=at_ns, objects=(), bays=(TruthBay(bay="a", object=taken),))

    free = BayState(bay="a", status=BayStatus.FREE, occupied_probability=0.1, since_ns=NOW)
    bays = Bays()
    for second, taken in enumerate((None, 7, 7, 7, 7, 7, 7)):
        now = world(NOW + second * 1000 * NS_PER_MS, taken)
        bays.saw(now)
        bays.said(ParkingState(lot="west", time_ns=now.time_ns, bays=(free,)), now)
    # It changed at 1 s: right at 0 s, forgiven until 6 s, wrong there.
    assert bays.numbers()["bays.accuracy"] == pytest.approx(1 / 2)
    assert bays.numbers()["bays.accuracy_at_once"] == pytest.approx(1 / 7)


@pytest.fixture(scope="module")
def both_worlds(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    out = tmp_path_factory.mktemp("both") / "run.mcap"
    site = root / "configs" / "junction-both-worlds.yaml"
    command = ["sim", str(site), "--duration", "3", "--cameras", "modelled", "--out", str(out)]
    assert run_command(command) == 0
    return out


def test_spat_of_both_worlds_is_held_against_the_lights(both_worlds: Path) -> None:
    numbers = score_recording(both_worlds).to_json()
    assert numbers["message.SPAT.accuracy"] == 1.0
    assert numbers["message.sae/SPAT.accuracy"] == 1.0


def test_a_spat_that_lies_is_found_out(both_worlds: Path) -> None:
    """Every frame against a world whose lights are all dark."""
    lights = Lights()
    truths: deque[Truth] = deque()
    names = set()
    for message in read_messages(both_worlds, [TRUTH, V2X_TX]):
        if message.topic == TRUTH:
            dark = tuple(TruthLight(group=one.group, light=LightState.DARK)
                         for one in message.payload.lights)  # fmt: skip
            truths.append(Truth(time_ns=message.payload.time_ns, objects=(), lights=dark))
        else:
            names.add(message.payload.name)
            lights.on_air(message.payload, message.header.publish_ns)
    lights.judge(truths, end=True)
    assert {"SPAT", "sae/SPAT"} <= names
    numbers = lights.numbers()
    assert numbers["message.SPAT.accuracy"] == numbers["message.sae/SPAT.accuracy"] == 0.0
    assert numbers["signals.accuracy"] is None
