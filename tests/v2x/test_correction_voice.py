"""GNSS corrections: passed on as they come, whole epochs or none, in messages that fit packets."""

from __future__ import annotations

import itertools
from typing import Any, ClassVar

import pytest

from rsu.schema.topics import CORRECTIONS
from rsu.schema.units import NS_PER_MS
from rsu.schema.v2x import Corrections


class Csae:
    subject = "message:RTCM"
    options: ClassVar[dict[str, Any]] = {
        "csae": {"profile": "csae157_2020", "rtcm": {"enabled": True, "aid": 3702}}
    }

    @staticmethod
    def octets(content: dict[str, Any]) -> list[str]:
        return [one["payload"] for one in content["corrections"]]


class Sae:
    subject = "message:sae/RTCM"
    options: ClassVar[dict[str, Any]] = {"sae": {}}

    @staticmethod
    def octets(content: dict[str, Any]) -> list[str]:
        return content["msgs"]


@pytest.fixture(params=[Csae, Sae])
def world(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def epoch(start_ns: int):
    """Corrections of `ms` whose messages have these lengths, each of its own octet."""

    def make(*lengths: int, ms: int = 0) -> Corrections:
        messages = tuple(bytes([n % 256]) * length for n, length in enumerate(lengths))
        return Corrections(station="s", time_ns=start_ns + ms * NS_PER_MS, messages=messages)

    return make


def sizes(world: Any, frames: list[Any], content) -> list[list[int]]:
    return [[len(one) // 2 for one in world.octets(content(frame))] for frame in frames]


def test_an_epoch_is_passed_on_as_it_came(drive, world, epoch, content, start_ns: int) -> None:
    unit = drive(**world.options)
    (frame,) = unit.give(CORRECTIONS, epoch(30, 60, 25, ms=-200), 0)
    assert world.octets(content(frame)) == ["00" * 30, "01" * 60, "02" * 25]
    assert frame.time_ns == unit.headers[0].capture_ns == start_ns - 200 * NS_PER_MS
    assert unit.reasons == {(world.subject, "corrections"): 1}


def test_nothing_is_ever_repeated(drive, world, epoch) -> None:
    unit = drive(**world.options)
    unit.give(CORRECTIONS, epoch(30), 0)
    assert [f for f in unit.run(20_000) if f.message == "RTCM"] == []


def test_more_than_five_make_more_messages_in_their_order(drive, world, epoch, content) -> None:
    unit = drive(**world.options)
    frames = unit.give(CORRECTIONS, epoch(*[10] * 12), 0)
    assert sizes(world, frames, content) == [[10] * 5, [10] * 5, [10] * 2]
    told = [octets for frame in frames for octets in world.octets(content(frame))]
    assert told == [f"{n:02x}" * 10 for n in range(12)]


def test_an_epoch_longer_than_a_packet_is_spread(drive, world, epoch, content) -> None:
    unit = drive(**world.options)
    # As of a station with four constellations: 2000 octets, packets take some 1140.
    lengths = (400, 300, 500, 600, 25, 200)
    frames = unit.give(CORRECTIONS, epoch(*lengths), 0)
    assert sizes(world, frames, content) == [[400, 300], [500, 600, 25], [200]]
    assert all(len(frame.network) <= 1_400 - 240 for frame in frames)


def test_an_epoch_with_one_message_too_long_is_withheld_whole(drive, world, epoch) -> None:
    unit = drive(**world.options, packet_octets=600, security_octets=100)
    assert unit.give(CORRECTIONS, epoch(100, 500, 100), 0) == []
    assert unit.reasons == {(world.subject, "too_large"): 1}
    assert unit.give(CORRECTIONS, epoch(100, 400, 100, ms=1_000), 1_000) != []


@pytest.mark.parametrize("lengths", [(30, 0, 30), (30, 3000), (3000,), (0,)])
def test_an_epoch_with_one_message_out_of_range_is_withheld_whole(
    drive, world, epoch, lengths: tuple[int, ...]
) -> None:
    unit = drive(**world.options)
    assert unit.give(CORRECTIONS, epoch(*lengths), 0) == []
    assert unit.reasons == {(world.subject, "out_of_range"): 1}


def test_an_epoch_without_messages_says_nothing(drive, world, epoch) -> None:
    unit = drive(**world.options)
    assert unit.give(CORRECTIONS, epoch(), 0) == []


@pytest.mark.parametrize(
    ("ms", "reason"), [(-10_001, "evidence_stale"), (10_001, "evidence_from_future")]
)
def test_corrections_too_old_are_not_passed_on(drive, world, epoch, ms: int, reason: str) -> None:
    unit = drive(**world.options)
    assert unit.give(CORRECTIONS, epoch(30, ms=ms), 0) == []
    assert unit.reasons == {(world.subject, reason): 1}
    assert len(unit.give(CORRECTIONS, epoch(30, ms=-9_800), 100)) == 1


def test_messages_are_counted_across_epochs(drive, world, epoch, content) -> None:
    unit = drive(**world.options)
    for ms in range(0, 30_000, 1_000):
        lengths = (30, 0) if ms % 7_000 == 0 else (20,) * 11  # some epochs are withheld
        unit.give(CORRECTIONS, epoch(*lengths, ms=ms), ms)
    counts = [content(frame)["msgCnt"] for frame in unit.frames("RTCM")]
    assert len(counts) == 25 * 3
    assert all(after == (before + 1) % 128 for before, after in itertools.pairwise(counts))


def test_epochs_come_at_most_as_often_as_allowed(drive, world, epoch) -> None:
    unit = drive(**world.options)
    for ms in range(0, 3_000, 25):
        unit.give(CORRECTIONS, epoch(30, ms=ms), ms)
    unit.run(5_000)
    assert 30 <= len(unit.frames("RTCM")) <= 32
    assert unit.reasons[world.subject, "rate_bound"] == 120 - len(unit.frames("RTCM"))


def test_corrections_need_a_trusted_clock(drive, world, epoch) -> None:
    unit = drive(**world.options, trust_clock=False)
    assert unit.give(CORRECTIONS, epoch(30), 0) == []
    assert unit.reasons == {(world.subject, "clock_unsynchronised"): 1}
