"""RTCM corrections as they came from a station, in the messages of T/CSAE 157."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rsu.schema.v2x import Corrections
from rsu.v2x.csae.rtcm import RtcmWriter
from rsu.v2x.csae.units import OutOfRangeError


def frame(number: int, octets: int = 19) -> bytes:
    """An RTCM 3 frame whose message has that number (12 bits) and length."""
    body = (number << (octets * 8 - 12)).to_bytes(octets, "big")
    return bytes([0xD3]) + octets.to_bytes(2, "big") + body + b"\xaa\xbb\xcc"


def corrections(*messages: bytes) -> Corrections:
    return Corrections(station="base", time_ns=0, messages=messages)


def test_frames_of_version_3_state_their_number(said) -> None:
    # 1005: D3 0013 3ED...: 0x3ED is 1005.
    station, other = frame(1005), b"not a frame"
    assert station.hex().startswith("d300133ed0")
    (value,) = RtcmWriter().contents(3, corrections(station, other))
    assert value == {
        "msgCnt": 3,
        "corrections": [
            {"rev": "rtcmRev3-2", "rtcmID": 1005, "payload": station.hex()},
            {"payload": other.hex()},
        ],
    }
    said("csae157_2020", "RTCM", value)


@pytest.mark.parametrize(
    "octets",
    [
        frame(1005)[:-1],  # shorter than it says
        frame(1005) + b"\x00",
        b"\xd3\x04" + frame(1005)[2:],  # reserved bits set
        b"\xd2" + frame(1005)[1:],
        b"\xd3",
        b"\xd3\x00\x01\x3e\xaa\xbb\xcc",  # no room for a number
    ],
)
def test_what_is_no_frame_states_no_number(octets: bytes) -> None:
    (value,) = RtcmWriter().contents(0, corrections(octets))
    assert value["corrections"] == [{"payload": octets.hex()}]


def test_five_to_a_message_and_the_count_runs_on(said) -> None:
    messages = [frame(1000 + index) for index in range(11)]
    values = RtcmWriter().contents(126, corrections(*messages))
    assert [value["msgCnt"] for value in values] == [126, 127, 0]
    assert [len(value["corrections"]) for value in values] == [5, 5, 1]
    numbers = [one["rtcmID"] for value in values for one in value["corrections"]]
    assert numbers == list(range(1000, 1011))
    for value in values:
        said("csae157_2020", "RTCM", value)
    assert RtcmWriter().contents(0, corrections()) == []


def test_largest_and_smallest(said) -> None:
    for octets in (b"\x00", bytes(2047), frame(4095, 1023)):
        (value,) = RtcmWriter().contents(0, corrections(octets))
        said("csae157_2020", "RTCM", value)
    for octets in (b"", bytes(2048)):
        with pytest.raises(OutOfRangeError, match="octets of a correction"):
            RtcmWriter().contents(0, corrections(octets))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages=st.lists(st.binary(min_size=1, max_size=60), max_size=12))
def test_any_octets_arrive_as_they_were(messages: list[bytes], said) -> None:
    values = RtcmWriter().contents(0, corrections(*messages))
    for value in values:
        said("csae157_2020", "RTCM", value)
    stated = [bytes.fromhex(one["payload"]) for value in values for one in value["corrections"]]
    assert stated == messages
