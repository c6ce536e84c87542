"""When newest states are told: parking (PAM), advice (RSC), signal requests (SSM of SAE)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rsu.schema.coordination import Advice, Behaviour, Coordination
from rsu.schema.parking import BayState, BayStatus, ParkingState
from rsu.schema.priority import RequestState, SignalAnswer, SignalPriority, SignalRequest
from rsu.schema.topics import COORDINATION, PARKING, SIGNAL_PRIORITY
from rsu.schema.units import NS_PER_MS, NS_PER_S
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import Lane, LaneKind, SiteMap, Zone, ZoneKind

CAR = bytes.fromhex("0102030405060708")
SECOND_PHASE = {"profile": "csae157_2020"}


def yard(origin: Any) -> SiteMap:
    """One aisle with two bays of the lot `yard`, one bay of the lot `other`."""
    aisle = Lane(
        "a", LaneKind.PARKING_AISLE, np.array([(0.0, 0.0), (0.0, 40.0)]), 6.0,
        upstream_node=1, downstream_node=2, lane_id=1,
    )  # fmt: skip

    def bay(name: str, y: float, lot: str) -> Zone:
        ring = np.array([(3.0, y), (8.0, y), (8.0, y + 2.5), (3.0, y + 2.5)])
        return Zone(name, ZoneKind.BAY, ring, lot=lot, lane="a")

    frame = LocalFrame(origin.latitude, origin.longitude, origin.altitude)
    bays = (bay("b1", 5.0, "yard"), bay("b2", 9.0, "yard"), bay("b3", 20.0, "other"))
    return SiteMap(frame, (aisle,), bays)


class Parking:
    """PAM of `yard`; states say whether bay b1 is taken."""

    topic, message, rate_hz, age_ms = PARKING, "PAM", 1.0, 5_000

    def options(self, origin: Any) -> dict[str, Any]:
        pam = {"enabled": True, "aid": 3700, "lot": "yard"}
        return {"csae": {**SECOND_PHASE, "pam": pam}, "speaker": {"site": yard(origin)}}

    def state(self, time_ns: int, word: int) -> ParkingState:
        status = (BayStatus.FREE, BayStatus.OCCUPIED)[word % 2]
        bay = BayState(bay="b1", status=status, occupied_probability=0.1 + word % 2 * 0.8,
                       since_ns=time_ns)  # fmt: skip
        return ParkingState(lot="yard", time_ns=time_ns, bays=(bay,))

    def empty(self, time_ns: int) -> ParkingState:
        return ParkingState(lot="yard", time_ns=time_ns, bays=())

    def word(self, content: dict[str, Any]) -> int:
        (bay,) = (
            slot
            for node in content["pamNodes"]
            for drive in node.get("inDrives", ())
            for slot in drive["parkingSlots"]
            if slot["slotID"] == 1
        )
        return ("available", "occupied").index(bay["status"])


class Coordinating:
    """RSC with one advice, to turn left or right."""

    topic, message, rate_hz, age_ms = COORDINATION, "RSC", 2.0, 1_000

    def options(self, origin: Any) -> dict[str, Any]:
        return {"csae": {**SECOND_PHASE, "rsc": {"enabled": True, "aid": 3701}}}

    def state(self, time_ns: int, word: int) -> Coordination:
        advice = Advice(
            vehicle=CAR, start_ns=0, end_ns=1_750_000_100 * NS_PER_S,
            behaviours=((Behaviour.TURN_LEFT, Behaviour.TURN_RIGHT)[word % 2],),
        )  # fmt: skip
        return Coordination(time_ns=time_ns, advice=(advice,))

    def empty(self, time_ns: int) -> Coordination:
        return Coordination(time_ns=time_ns, advice=())

    def word(self, content: dict[str, Any]) -> int:
        return content["coordinates"][0]["driveSuggestion"]["suggestion"]["bits"].index("1") - 6


class Requests:
    """SSM of SAE for intersection 7, with one request granted or refused."""

    topic, message, rate_hz, age_ms = SIGNAL_PRIORITY, "SSM", 1.0, 2_000
    states = (RequestState.GRANTED, RequestState.REJECTED)

    def options(self, origin: Any) -> dict[str, Any]:
        return {"sae": {}}

    def state(self, time_ns: int, word: int, intersection: int = 7) -> SignalPriority:
        request = SignalRequest(
            vehicle=b"\1\2\3\4", request=5, sequence=6, time_ns=0, intersection=intersection,
            role="transit",
        )  # fmt: skip
        answer = SignalAnswer(request=request, state=self.states[word % 2])
        return SignalPriority(intersection=intersection, time_ns=time_ns, answers=(answer,))

    def empty(self, time_ns: int) -> SignalPriority:
        return SignalPriority(intersection=7, time_ns=time_ns, answers=())

    def word(self, content: dict[str, Any]) -> int:
        status = content["status"][0]["sigStatus"][0]["status"]
        return ("granted", "rejected").index(status)


@pytest.fixture(params=[Parking, Coordinating, Requests], ids=lambda one: one.message)
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param()


@pytest.fixture
def speaker(drive, kind, origin):
    """A driver of a unit that says `kind.message`."""
    return drive(**kind.options(origin))


@pytest.fixture
def state(kind, start_ns: int):
    return lambda ms, word=0, **changes: kind.state(start_ns + ms * NS_PER_MS, word, **changes)


def test_told_at_once_and_repeated_at_the_rate_while_it_holds(speaker, kind, state) -> None:
    period = round(1_000 / kind.rate_hz)
    assert len(speaker.give(kind.topic, state(20), 20)) == 1
    for ms in range(500, 3_001, 500):
        speaker.give(kind.topic, state(ms), ms)
    speaker.run(3_001)
    assert speaker.times(kind.message) == [20, *range(period, 3_001, period)]


def test_a_change_is_told_at_once_and_not_again(speaker, kind, state, content) -> None:
    speaker.give(kind.topic, state(0, 0), 0)
    speaker.run(1_100)
    before = len(speaker.frames(kind.message))
    (frame,) = speaker.give(kind.topic, state(1_150, 1), 1_150)
    assert kind.word(content(frame)) == 1
    assert speaker.give(kind.topic, state(1_200, 1), 1_200) == [], "only seen again"
    assert len(speaker.frames(kind.message)) == before + 1


def test_changes_too_many_wait_for_the_rate_and_end_with_the_newest(
    speaker, kind, state, content
) -> None:
    for step in range(8):
        speaker.give(kind.topic, state(50 * step, step), 50 * step)
    speaker.run(2_000)
    times = speaker.times(kind.message)
    period = round(1_000 / kind.rate_hz)
    assert times[:2] == [0, 50], "two are credit"
    assert times[2] == period
    assert speaker.reasons[_subject(kind), "rate_bound"] > 0
    third = speaker.frames(kind.message)[2]
    assert kind.word(content(third)) == 1, "the newest of the eight"


def test_a_state_that_grows_old_is_told_no_more_and_says_so(speaker, kind, state) -> None:
    speaker.give(kind.topic, state(0), 0)
    speaker.run(12_000)
    period = round(1_000 / kind.rate_hz)
    assert speaker.times(kind.message) == list(range(0, kind.age_ms + 1, period))
    assert speaker.reasons[_subject(kind), "evidence_stale"] == 1
    assert len(speaker.give(kind.topic, state(12_000), 12_000)) == 1, "it is told again"


def test_a_state_that_comes_old_is_not_told(speaker, kind, state) -> None:
    assert speaker.give(kind.topic, state(-kind.age_ms - 1), 0) == []
    assert speaker.reasons == {(_subject(kind), "evidence_stale"): 1}
    speaker.run(1_000)
    assert speaker.said == []


def test_an_empty_state_ends_it(speaker, kind, state, start_ns: int) -> None:
    speaker.give(kind.topic, state(0), 0)
    assert speaker.give(kind.topic, kind.empty(start_ns + 300 * NS_PER_MS), 300) == []
    speaker.run(4_000)
    assert speaker.times(kind.message) == [0]
    assert len(speaker.give(kind.topic, state(4_000), 4_000)) == 1


def test_evidence_is_the_time_of_the_state(speaker, kind, state, start_ns: int) -> None:
    (frame,) = speaker.give(kind.topic, state(-400), 0)
    assert frame.time_ns == speaker.headers[0].capture_ns == start_ns - 400 * NS_PER_MS


def test_nothing_is_told_without_a_trusted_clock(drive, kind, state, origin) -> None:
    speaker = drive(**kind.options(origin), trust_clock=False)
    assert speaker.give(kind.topic, state(0), 0) == []
    assert speaker.reasons == {(_subject(kind), "clock_unsynchronised"): 1}


def _subject(kind: Any) -> str:
    return "message:sae/SSM" if kind.message == "SSM" else f"message:{kind.message}"


# ── one by one ────────────────────────────────────────────────────────────────────────────────────


def test_pam_speaks_of_its_own_lot_only(drive, origin, start_ns: int) -> None:
    speaker = drive(**Parking().options(origin))
    bay = BayState(bay="b3", status=BayStatus.FREE, occupied_probability=0.1, since_ns=start_ns)
    other = ParkingState(lot="other", time_ns=start_ns, bays=(bay,))
    assert speaker.give(PARKING, other, 0) == []
    assert speaker.reasons == {}


def test_pam_of_a_strange_bay_is_withheld_until_the_state_is_right(
    drive, origin, start_ns: int
) -> None:
    speaker = drive(**Parking().options(origin))
    bay = BayState(bay="b3", status=BayStatus.FREE, occupied_probability=0.1, since_ns=start_ns)
    wrong = ParkingState(lot="yard", time_ns=start_ns, bays=(bay,))
    assert speaker.give(PARKING, wrong, 0) == []
    assert speaker.reasons == {("message:PAM", "out_of_range"): 1}
    assert "b3" in speaker.decisions[0].detail
    assert len(speaker.give(PARKING, Parking().state(start_ns, 0), 100)) == 1


def test_rsc_of_advice_that_is_over_is_withheld(drive, start_ns: int, origin) -> None:
    speaker = drive(**Coordinating().options(origin))
    over = Advice(
        vehicle=CAR, start_ns=start_ns - NS_PER_S, end_ns=start_ns, behaviours=(Behaviour.STOP,)
    )
    assert speaker.give(COORDINATION, Coordination(time_ns=start_ns, advice=(over,)), 0) == []
    assert speaker.reasons == {("message:RSC", "out_of_range"): 1}


def test_two_intersections_have_rates_of_their_own(drive, origin, content, start_ns: int) -> None:
    kind = Requests()
    speaker = drive(**kind.options(origin))
    for ms in range(0, 2_600, 50):
        time_ns = start_ns + ms * NS_PER_MS
        speaker.give(kind.topic, kind.state(time_ns, ms // 50, intersection=7), ms)
        if ms == 0 or ms == 1_350:
            speaker.give(kind.topic, kind.state(time_ns, ms, intersection=8), ms)
    by_number: dict[int, list[int]] = {7: [], 8: []}
    for ms, frame in speaker.said:
        by_number[content(frame)["status"][0]["id"]["id"]].append(ms)
    # 7 changes all the time and has its share, 8 is told as if it were alone.
    assert by_number[7] == [0, 50, 1_000, 2_000]
    assert by_number[8] == [0, 1_000, 2_000]


def test_ssm_counts_messages_and_changes(drive, origin, content, start_ns: int) -> None:
    kind = Requests()
    speaker = drive(**kind.options(origin))
    for ms, word in ((0, 0), (1_000, 0), (2_000, 1), (3_000, 1)):
        speaker.give(kind.topic, kind.state(start_ns + ms * NS_PER_MS, word), ms)
    told = [content(frame) for frame in speaker.frames("SSM")]
    assert len(told) == 4
    first = told[0]["sequenceNumber"]
    assert [one["sequenceNumber"] for one in told] == [(first + n) % 128 for n in range(4)]
    assert [one["status"][0]["sequenceNumber"] for one in told] == [0, 0, 1, 1]
