"""Who crossed a line: sure ones at once, doubtful ones when they have left it behind, hidden ones
when they are found again where the lane leads; each on one lane, once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rsu.schema.sensing import ObjectClass
from rsu.schema.tracks import Track, TrackList, TrackStatus
from rsu.schema.units import NS_PER_S, Size, Vec2
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import Lane, LaneKind, LaneRole, SiteMap
from rsu.situation.picture import Viewer
from rsu.situation.traffic.counting import Crossing, LineCounter, line_station

START_NS = 1_767_225_600 * NS_PER_S


def lane(name: str, begin: float, end: float, y: float, **more: Any) -> Lane:
    return Lane(name, LaneKind.VEHICLE, np.array([[begin, y], [end, y]]), 3.5, **more)


LANES = (
    lane("in", 0.0, 100.0, 0.0, role=LaneRole.ENTRY, stop_line=100.0, successors=("way",)),
    lane("beside", 0.0, 100.0, 3.5, role=LaneRole.ENTRY, stop_line=100.0),
    lane("way", 100.0, 120.0, 0.0, role=LaneRole.CONNECTION, successors=("out",)),
    lane("out", 120.0, 200.0, 0.0, role=LaneRole.EXIT),  # its line is at 135 m
)
MAP = SiteMap(LocalFrame(31.0, 121.0), LANES)


class Road:
    """Pictures of single tracks; keeps what the counter says, with the second it said it in."""

    def __init__(self) -> None:
        self.viewer = Viewer(MAP)
        self.counter = LineCounter(LANES)
        self.said: list[tuple[str, float]] = []
        self.crossings: list[Crossing] = []

    def look(
        self, seconds: float, x: float = 0.0, y: float = 0.0, *, speed: float = 10.0,
        heading: float = 0.0, heading_std: float = 0.05, number: int = 1, empty: bool = False,
        born_s: float = 0.0,
    ) -> None:  # fmt: skip
        time_ns = START_NS + round(seconds * NS_PER_S)
        cov = np.diag([0.1, 0.1, heading_std**2, 0.1, 0.01])
        one = Track(
            id=number, object_class=ObjectClass.CAR, class_probability=0.9, position=Vec2(x, y),
            heading=heading, speed=speed, turn_rate=0.0,
            covariance=tuple(cov[np.triu_indices(5)].tolist()), size=Size(4.5, 1.8, 1.5),
            existence=0.99, status=TrackStatus.CONFIRMED, sources=("north",),
            born_ns=START_NS + round(born_s * NS_PER_S), updated_ns=time_ns,
        )  # fmt: skip
        tracks = () if empty else (one,)
        picture = self.viewer.look(TrackList(time_ns=time_ns, tracks=tracks))
        for crossing in self.counter.follow(picture):
            self.crossings.append(crossing)
            self.said.append((LANES[crossing.lane].id, seconds))


def at_s(crossing: Crossing) -> float:
    return (crossing.time_ns - START_NS) / NS_PER_S


def test_lines_are_where_the_definitions_put_them() -> None:
    assert [line_station(one) for one in LANES] == [100.0, 100.0, 10.0, 15.0]


def test_who_drives_has_crossed_at_once() -> None:
    road = Road()
    road.look(0.0, 99.5)
    road.look(0.1, 100.5)
    assert road.said == [("in", 0.1)]
    assert at_s(road.crossings[0]) == pytest.approx(0.05)


def test_who_waits_with_its_middle_over_the_line_crosses_when_it_goes() -> None:
    """A filter overshoots one who brakes, and places waver while it stands."""
    road = Road()
    for step, x in enumerate((98.0, 99.0, 100.3, 100.4, 99.8, 100.1, 100.2)):
        road.look(0.5 * step, x, speed=0.8)
    assert road.said == []
    for step in range(4):
        road.look(30.0 + step, 100.2 + step, speed=1.0)
    assert road.said == [("in", 32.0)]
    assert at_s(road.crossings[0]) == pytest.approx(2.333, abs=0.01)  # when last it came over it


def test_a_heading_that_is_wrong_while_it_sets_off_loses_nobody() -> None:
    road = Road()
    for step, (x, heading) in enumerate(((99.0, 0.1), (99.9, 2.0), (101.2, 2.5), (102.5, 0.1))):
        road.look(0.4 * step, x, speed=2.5, heading=heading, heading_std=0.4)
    assert road.said == [("in", pytest.approx(1.2))]


def test_who_goes_across_the_lane_crosses_nothing() -> None:
    road = Road()
    for step in range(12):
        road.look(0.2 * step, 99.0 + 0.3 * step, -3.0 + 0.6 * step, heading=1.1, speed=3.5)
    assert road.said == []


def test_the_lane_is_that_of_two_places_where_one_is_doubtful() -> None:
    """Told between two lanes at the line, with no heading, and in the middle of one behind it."""
    road = Road()
    for step, (x, y) in enumerate(((98.0, 3.0), (99.5, 2.2), (101.0, 1.4), (102.5, 0.2))):
        road.look(0.3 * step, x, y, speed=4.5, heading_std=2.0)
    assert [name for name, _ in road.said] == ["in"]


def test_who_was_hidden_crossed_where_its_lanes_lead_over_the_line() -> None:
    road = Road()
    road.look(0.0, 115.0)  # on the way through the junction
    road.look(0.1, 116.0)
    for step in range(2, 40):
        road.look(0.1 * step, empty=True)
    assert road.said == []
    road.look(4.1, 156.0)
    assert road.said == [("out", 4.1)]
    crossing = road.crossings[0]
    assert at_s(crossing) == pytest.approx(2.0)  # between the two, at an even speed
    assert crossing.speed == pytest.approx(10.0)


def test_who_was_hidden_on_a_way_that_leads_elsewhere_crossed_nothing() -> None:
    """From the lane beside, which leads nowhere here, to the exit: nobody knows by which way."""
    road = Road()
    road.look(0.0, 90.0, 3.5)
    road.look(4.0, 140.0)
    assert road.said == []


def test_who_is_away_for_longer_than_a_memory_is_another() -> None:
    road = Road()
    road.look(0.0, 116.0)
    road.look(11.0, 156.0)
    assert road.said == []


def test_a_line_counts_once_for_a_track() -> None:
    road = Road()
    for step, x in enumerate((99.0, 103.0, 97.0, 104.0)):
        road.look(float(step), x)
    assert [name for name, _ in road.said] == ["in"]


def test_what_is_open_is_forgotten_with_the_track() -> None:
    road = Road()
    for number in range(100):
        road.look(0.1 * number, 99.9, number=number, speed=0.5)
        road.look(0.1 * number + 0.05, 100.1, number=number, speed=0.5)
    road.look(60.0, empty=True)
    assert len(road.counter._over) <= 20


def test_who_is_found_again_under_another_number_crossed_as_well() -> None:
    road = Road()
    road.look(0.0, 115.0)
    road.look(0.1, 116.0)
    road.look(2.1, empty=True)
    road.look(4.1, 158.0, number=2, born_s=4.0)  # as fast as before it is at 156 m
    assert road.said == [("out", 4.1)]
    road.look(4.2, 159.0)  # and the first number, should it come back, is the same vehicle
    assert len(road.said) == 1


def test_a_new_number_s_speed_is_that_of_the_way_not_a_guess() -> None:
    road = Road()
    road.look(0.0, 133.0, speed=10.0)
    road.look(0.1, 134.0, speed=10.0)  # 1 m before the line
    road.look(2.0, empty=True)
    road.look(2.1, 155.0, number=2, born_s=2.0, speed=4.0)
    assert [name for name, _ in road.said] == ["out"]
    assert road.crossings[0].speed == pytest.approx(10.5)


@pytest.mark.parametrize(
    ("x", "y", "born_s"),
    [
        (210.0, 0.0, 4.0),  # at 24 m/s: too far
        (125.0, 0.0, 4.0),  # not even half as fast: it is still hidden
        (156.0, 9.0, 4.0),  # not on a lane
        (156.0, 0.0, 0.05),  # there when the other was still seen
    ],
)
def test_who_cannot_be_the_one_that_was_lost_crossed_nothing(
    x: float, y: float, born_s: float
) -> None:
    road = Road()
    road.look(0.0, 115.0)
    road.look(0.1, 116.0)
    road.look(2.1, empty=True)
    road.look(4.1, x, y, number=2, born_s=born_s)
    assert road.said == []


def test_one_of_two_who_were_lost_is_nobody_that_is_known() -> None:
    road = Road()
    for number, x in ((1, 112.0), (2, 118.0)):
        road.look(0.1 * number, x, number=number)
    road.look(4.1, 155.0, number=3, born_s=4.0)
    assert road.said == []


def test_a_number_that_jumps_from_one_vehicle_to_another_crossed_nothing() -> None:
    road = Road()
    road.look(0.0, 60.0)
    road.look(1.0, 102.0)
    assert road.said == []


def test_who_was_hidden_all_through_the_junction_crossed_all_its_lines() -> None:
    road = Road()
    road.look(0.0, 95.0)
    road.look(5.0, 145.0)
    assert sorted(name for name, _ in road.said) == ["in", "out", "way"]
