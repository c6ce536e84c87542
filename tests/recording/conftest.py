"""What the recording tests share: makers of V2X frames, track lists and small recordings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from rsu.recording.writer import McapFile
from rsu.schema.message import Message
from rsu.schema.sensing import ObjectClass
from rsu.schema.topics import TRACKS, V2X_TX
from rsu.schema.tracks import Track, TrackList, TrackStatus
from rsu.schema.units import Size, Vec2
from rsu.schema.v2x import V2xFrame

BOOT_NS = 1_735_689_600_000_000_000  # 2025-01-01T00:00:00Z
STEP_NS = 100_000_000
METADATA = {"site": "demo", "boot_ns": str(BOOT_NS), "config": "site: démo\n", "profile": "p"}


def v2x_message(seq: int, *, boot_ns: int = BOOT_NS, octets: int = 40) -> Message:
    """Frame number `seq` of the RSM stage, published every 100 ms."""
    now = boot_ns + seq * STEP_NS
    payload = bytes((seq * 7 + i) % 256 for i in range(octets))
    frame = V2xFrame(
        profile="csae53_2020",
        message="RSM",
        payload=payload,
        network=b"\x04" + payload,
        aid=3623,
        priority=208,
        value={"rsm": {"msgCnt": seq % 128, "id": payload[:8].hex(), "x": [0.1 * seq, None]}},
        time_ns=now - 30_000_000,
        subjects=(seq, seq + 1),
    )
    return Message.draft(V2X_TX, "rsm", now - 50_000_000, frame).stamped(boot_ns, seq, now)


def tracks_message(seq: int, *, count: int = 20, boot_ns: int = BOOT_NS) -> Message:
    """A list of `count` tracks, published every 100 ms by fusion."""
    now = boot_ns + seq * STEP_NS
    tracks = tuple(
        Track(
            id=number,
            object_class=ObjectClass.CAR,
            class_probability=0.9,
            position=Vec2(seq * 1.1 + number, number / 3.0),
            heading=0.1 * number,
            speed=10.0 / (number + 1),
            turn_rate=0.0,
            covariance=tuple((number + 1) * 0.01 * i for i in range(15)),
            size=Size(4.5, 1.8, 1.5),
            existence=0.99,
            status=TrackStatus.CONFIRMED,
            sources=("north",),
            born_ns=boot_ns,
            updated_ns=now,
        )
        for number in range(count)
    )
    payload = TrackList(time_ns=now, tracks=tracks)
    return Message.draft(TRACKS, "fusion", now, payload).stamped(boot_ns, seq, now)


@pytest.fixture(scope="session")
def frame() -> Callable[..., Message]:
    return v2x_message


@pytest.fixture(scope="session")
def track_list() -> Callable[..., Message]:
    return tracks_message


@pytest.fixture(scope="session")
def metadata() -> dict[str, str]:
    return dict(METADATA)


Same = Callable[[Iterable[Message], Iterable[Message]], None]


def _assert_same(found: Iterable[Message], wanted: Iterable[Message]) -> None:
    assert [(m.header, m.payload) for m in found] == [(m.header, m.payload) for m in wanted]


@pytest.fixture(scope="session")
def assert_same() -> Same:
    return _assert_same


@pytest.fixture
def record(tmp_path: Path) -> Callable[..., Path]:
    """Write messages to `tmp_path / name` and return the path."""

    def write(messages: Iterable[Message], name: str = "a.mcap", **options: object) -> Path:
        path = tmp_path / name
        with McapFile(path, METADATA, **options) as file:  # type: ignore[arg-type]
            for message in messages:
                file.write(message)
        return path

    return write
