"""Signal status: answers that can be checked by hand, on the air and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rsu.schema.priority import RequestState, SignalAnswer, SignalPriority, SignalRequest
from rsu.schema.units import NS_PER_MS, NS_PER_S
from rsu.site.features import LaneKind, LaneRole
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import Lane, SiteMap
from rsu.v2x.sae.ssm import ANSWERS, ROLES, SignalStatusWriter
from rsu.v2x.steps import OutOfRangeError

NEW_YEAR_NS = 1_767_225_600 * NS_PER_S  # 2026-01-01T00:00:00Z
LINE = np.array([(0.0, -50.0), (0.0, 0.0)])
SITE = SiteMap(
    LocalFrame(31.2304, 121.4737, 12.0),
    (
        Lane("in", LaneKind.VEHICLE, LINE, 3.5, role=LaneRole.ENTRY, lane_id=5),
        Lane("out", LaneKind.VEHICLE, LINE + 4.0, 3.5, role=LaneRole.EXIT, lane_id=9),
    ),
)


@pytest.fixture
def writer(unit) -> SignalStatusWriter:
    return SignalStatusWriter(unit(site=SITE))


def answer(state: RequestState = RequestState.GRANTED, **changes: Any) -> SignalAnswer:
    values: dict[str, Any] = {
        "vehicle": bytes.fromhex("a1b2c3d4"),
        "request": 3,
        "sequence": 17,
        "time_ns": NEW_YEAR_NS,
        "intersection": 7,
        "role": "transit",
    }
    return SignalAnswer(request=SignalRequest(**{**values, **changes}), state=state)


def priority(*answers: SignalAnswer, time_ns: int = NEW_YEAR_NS) -> SignalPriority:
    return SignalPriority(intersection=7, time_ns=time_ns, answers=answers)


def test_three_answers(writer: SignalStatusWriter, on_air) -> None:
    arrival_ns = NEW_YEAR_NS + 61 * NS_PER_S + 250 * NS_PER_MS
    value = writer.content(
        90,
        priority(
            answer(inbound="in", outbound="out", arrival_ns=arrival_ns, duration_s=2.0),
            answer(
                RequestState.WATCH_OTHER_TRAFFIC,
                vehicle=(601).to_bytes(4),
                station=True,
                inbound="in",
                inbound_lane_id=8,
            ),
            answer(RequestState.REJECTED, role="tram of tomorrow", duration_s=65.6, inbound="gone"),
            time_ns=NEW_YEAR_NS - 1,
        ),
    )
    assert value == {
        "timeStamp": 525_599,
        "second": 59_999,
        "sequenceNumber": 90,
        "status": [
            {
                "sequenceNumber": 0,
                "id": {"region": 310, "id": 7},
                "sigStatus": [
                    {
                        "requester": {
                            "id": {"entityID": "a1b2c3d4"},
                            "request": 3,
                            "sequenceNumber": 17,
                            "role": "transit",
                        },
                        "inboundOn": {"lane": 5},
                        "outboundOn": {"lane": 9},
                        "minute": 1,
                        "second": 1250,
                        "duration": 2000,
                        "status": "granted",
                    },
                    {
                        "requester": {
                            "id": {"stationID": 601},
                            "request": 3,
                            "sequenceNumber": 17,
                            "role": "transit",
                        },
                        "inboundOn": {"lane": 8},  # the number the requester named
                        "status": "watchOtherTraffic",
                    },
                    {
                        "requester": {
                            "id": {"entityID": "a1b2c3d4"},
                            "request": 3,
                            "sequenceNumber": 17,
                        },
                        "inboundOn": {"lane": 0},  # not on the map: unknown
                        "status": "rejected",
                    },
                ],
            }
        ],
    }
    on_air("SSM", value)


def test_the_status_counts_changes_and_the_message_counts_messages(
    writer: SignalStatusWriter,
) -> None:
    asked, granted = answer(RequestState.REQUESTED), answer(RequestState.GRANTED)
    said = [
        writer.content(count, priority(one, time_ns=NEW_YEAR_NS + count * NS_PER_S))
        for count, one in enumerate([asked, asked, granted, granted])
    ]
    assert [one["sequenceNumber"] for one in said] == [0, 1, 2, 3]
    assert [one["status"][0]["sequenceNumber"] for one in said] == [0, 0, 1, 1]


def test_roles_are_those_of_the_schema(writer: SignalStatusWriter, encode) -> None:
    for role in ROLES:
        encode("SSM", writer.content(0, priority(answer(role=role))))


@pytest.mark.parametrize(
    "change",
    [
        {"vehicle": bytes(8)},
        {"request": 256},
        {"sequence": 128},
        {"inbound_lane_id": 256},
    ],
)
def test_what_it_cannot_carry_is_refused(
    writer: SignalStatusWriter, change: dict[str, Any]
) -> None:
    with pytest.raises(OutOfRangeError):
        writer.content(0, priority(answer(**change)))


def test_list_sizes(writer: SignalStatusWriter, on_air) -> None:
    most = [answer(request=number) for number in range(ANSWERS)]
    on_air("SSM", writer.content(127, priority(*most)))
    for wrong in (priority(), priority(*most, answer())):
        with pytest.raises(OutOfRangeError):
            writer.content(0, wrong)


lane = st.none() | st.integers(0, 255)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    time_ns=st.integers(0, 4_000_000_000 * NS_PER_S),
    answers=st.lists(
        st.builds(
            answer,
            st.sampled_from(RequestState),
            vehicle=st.binary(min_size=4, max_size=4),
            station=st.booleans(),
            request=st.integers(0, 255),
            sequence=st.integers(0, 127),
            role=st.text() | st.sampled_from(sorted(ROLES)),
            inbound_lane_id=lane,
            outbound_lane_id=lane,
            inbound=st.sampled_from([None, "in", "gone"]),
            arrival_ns=st.none() | st.integers(0, 4_000_000_000 * NS_PER_S),
            duration_s=st.none() | st.floats(0, 1e6),
        ),
        min_size=1,
        max_size=ANSWERS,
    ),
)
def test_any_answers_in_range_can_be_said(unit, encode, time_ns, answers) -> None:
    writer = SignalStatusWriter(unit(site=SITE))
    encode("SSM", writer.content(1, priority(*answers, time_ns=time_ns)))
