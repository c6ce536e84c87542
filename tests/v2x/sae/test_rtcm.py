"""RTCM corrections: whole messages in order, as few frames as hold them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.schema.units import NS_PER_S
from rsu.schema.v2x import Corrections
from rsu.v2x.sae.rtcm import RtcmWriter
from rsu.v2x.steps import OutOfRangeError

NEW_YEAR_NS = 1_767_225_600 * NS_PER_S  # 2026-01-01T00:00:00Z


def epoch(*messages: bytes, time_ns: int = NEW_YEAR_NS) -> Corrections:
    return Corrections(station="base", time_ns=time_ns, messages=messages)


def test_seven_messages_make_two_frames(on_air) -> None:
    messages = [bytes([0xD3, index]) for index in range(7)]
    contents = RtcmWriter().contents(127, epoch(*messages, time_ns=NEW_YEAR_NS + 125 * NS_PER_S))
    assert contents == [
        {
            "msgCnt": 127,
            "rev": "rtcmRev3",
            "timeStamp": 2,
            "msgs": ["d300", "d301", "d302", "d303", "d304"],
        },
        {"msgCnt": 0, "rev": "rtcmRev3", "timeStamp": 2, "msgs": ["d305", "d306"]},
    ]
    for content in contents:
        on_air("RTCM", content)


def test_last_minute_of_the_year() -> None:
    (content,) = RtcmWriter().contents(0, epoch(b"x", time_ns=NEW_YEAR_NS - 1))
    assert content["timeStamp"] == 365 * 24 * 60 - 1


def test_an_epoch_without_messages_says_nothing() -> None:
    assert RtcmWriter().contents(0, epoch()) == []


@pytest.mark.parametrize("wrong", [b"", bytes(1024)])
def test_one_message_that_does_not_fit_refuses_the_epoch(wrong: bytes) -> None:
    with pytest.raises(OutOfRangeError):
        RtcmWriter().contents(0, epoch(b"\xd3", wrong))


@settings(max_examples=40)
@given(
    messages=st.lists(st.binary(min_size=1, max_size=1023), max_size=12),
    count=st.integers(0, 127),
)
def test_nothing_is_lost(encode, messages: list[bytes], count: int) -> None:
    contents = RtcmWriter().contents(count, epoch(*messages))
    assert [bytes.fromhex(one) for content in contents for one in content["msgs"]] == messages
    for content in contents:
        encode("RTCM", content)
