"""The bus loses nothing before a connection stands, counts what it must drop, survives garbage."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq

from rsu.runtime.bus import (
    HIGH_WATER_MARK,
    QUEUE_BYTES,
    RECEIVE_MARK,
    BusClient,
    BusError,
    BusHub,
    _Bound,
)
from rsu.schema.message import Message
from rsu.schema.preview import CameraPreview, Masking
from rsu.schema.topics import CAMERA_DETECTIONS, CAMERA_PREVIEW, TRACKS
from rsu.schema.tracks import TrackList

Detections = Callable[[str, int, int], Message]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[BusHub]:
    hub = BusHub(tmp_path)
    hub.start()
    yield hub
    hub.stop()


def receive(client: BusClient, count: int) -> list[Message]:
    """At least `count` messages, or what came within 5 s."""
    messages: list[Message] = []
    for _ in range(50):
        messages += client.receive(0.1)
        if len(messages) >= count:
            break
    return messages


def test_a_subscriber_hears_everything_from_its_opening_on(
    tmp_path: Path, hub: BusHub, detections: Detections
) -> None:
    subscriber, publisher = BusClient(tmp_path, [CAMERA_DETECTIONS]), BusClient(tmp_path)
    try:
        subscriber.open()
        publisher.open()
        for seq in range(100):
            publisher.publish(detections("north", seq, seq).stamped(1, seq, seq))
        heard = receive(subscriber, 100)
        assert [message.header.seq for message in heard] == list(range(100))
        assert subscriber.lost == 0
    finally:
        publisher.close()
        subscriber.close()


def test_publishing_before_the_hub_exists_is_not_lost(
    tmp_path: Path, detections: Detections
) -> None:
    publisher = BusClient(tmp_path)
    publisher.open()
    publisher.publish(detections("north", 0, 0).stamped(1, 0, 0))
    hub = BusHub(tmp_path)
    context = zmq.Context()
    pull = context.socket(zmq.PULL)
    try:
        pull.bind(f"ipc://{tmp_path}/bus-in")  # stands for the hub: sees what arrives
        assert pull.poll(5000)
        assert pull.recv_multipart()[0] == CAMERA_DETECTIONS.name.encode()
    finally:
        pull.close()
        context.term()
        publisher.close()
        hub.stop()


def test_only_subscribed_topics_arrive(tmp_path: Path, hub: BusHub, detections: Detections) -> None:
    subscriber, publisher = BusClient(tmp_path, [TRACKS]), BusClient(tmp_path)
    try:
        subscriber.open()
        publisher.open()
        publisher.publish(detections("north", 0, 0).stamped(1, 0, 0))
        tracks = Message.draft(TRACKS, "fusion", 0, TrackList(time_ns=0, tracks=()))
        publisher.publish(tracks.stamped(1, 0, 0))
        assert [m.topic for m in receive(subscriber, 1)] == [TRACKS]
    finally:
        publisher.close()
        subscriber.close()


def test_garbage_is_counted_and_does_not_stop_the_next_message(
    tmp_path: Path, hub: BusHub, detections: Detections
) -> None:
    subscriber = BusClient(tmp_path, [CAMERA_DETECTIONS])
    context = zmq.Context()
    push = context.socket(zmq.PUSH)
    push.setsockopt(zmq.LINGER, 0)
    try:
        subscriber.open()
        push.connect(f"ipc://{tmp_path}/bus-in")
        push.send_multipart([CAMERA_DETECTIONS.name.encode(), b"\x00", b"\xff\xff"])
        push.send_multipart([CAMERA_DETECTIONS.name.encode()])
        subscriber.publish(detections("north", 0, 0).stamped(1, 0, 0))
        heard = receive(subscriber, 1)
        while subscriber.garbage < 2:
            heard += subscriber.receive(1.0)
        assert len(heard) == 1
    finally:
        push.close()
        context.term()
        subscriber.close()


def test_lost_sequence_numbers_are_counted(
    tmp_path: Path, hub: BusHub, detections: Detections
) -> None:
    subscriber = BusClient(tmp_path, [CAMERA_DETECTIONS])
    try:
        subscriber.open()
        for seq in (0, 1, 5):
            subscriber.publish(detections("north", seq, 0).stamped(1, seq, 0))
        assert len(receive(subscriber, 3)) == 3
        assert subscriber.lost == 3
    finally:
        subscriber.close()


def test_without_a_hub_opening_fails_in_bounded_time(tmp_path: Path) -> None:
    client = BusClient(tmp_path, [TRACKS])
    try:
        with pytest.raises(BusError, match="no answer from the bus"):
            client.open(timeout_s=0.2)
    finally:
        client.close()


def test_a_full_queue_drops_and_counts_instead_of_waiting(
    tmp_path: Path, detections: Detections
) -> None:
    publisher = BusClient(tmp_path)  # nobody ever takes what it publishes
    publisher.open()
    try:
        for seq in range(HIGH_WATER_MARK + 500):
            publisher.publish(detections("north", seq, 0).stamped(1, seq, 0))
        assert publisher.dropped == 500
    finally:
        publisher.close()


def test_a_folder_that_cannot_hold_sockets_is_a_clear_error(tmp_path: Path) -> None:
    hub = BusHub(tmp_path / "missing")
    with pytest.raises(BusError, match="cannot open the bus"):
        hub.start()
    hub.stop()


def preview(seq: int, jpeg: bytes) -> Message:
    picture = CameraPreview(
        sensor="north", frame=seq, capture_ns=seq, width=1, height=1, scale=1.0, jpeg=jpeg,
        masked=True, masking=Masking.WHOLE,
    )  # fmt: skip
    return Message.draft(CAMERA_PREVIEW, "north", seq, picture).stamped(1, seq, seq)


def test_large_messages_may_not_fill_a_queue_as_small_ones_do(tmp_path: Path, hub: BusHub) -> None:
    """A subscriber that sleeps: what waits for it is bounded in octets, and it is heard again."""
    large, number = bytes(400_000), 400
    subscriber, publisher = BusClient(tmp_path, [CAMERA_PREVIEW]), BusClient(tmp_path)
    try:
        subscriber.open()
        publisher.open()
        before = hub.forwarded
        for seq in range(number):
            publisher.publish(preview(seq, large))
            for _ in range(5000):  # the hub keeps up: it is the subscriber that does not
                if hub.forwarded - before + publisher.dropped > seq:
                    break
                time.sleep(0.001)
        waiting = 0
        while heard := subscriber.receive(1.0):
            waiting += len(heard)
        # Of the hub, of the subscriber, and what the kernel holds.
        own = QUEUE_BYTES // len(large)
        assert own <= waiting <= own + RECEIVE_MARK + 10
        publisher.publish(preview(number, b""))
        assert len(receive(subscriber, 1)) == 1
        assert subscriber.lost == number - waiting
    finally:
        publisher.close()
        subscriber.close()


def test_small_messages_may_fill_a_queue_again_when_no_large_ones_come() -> None:
    context = zmq.Context()
    socket = context.socket(zmq.PUSH)
    try:
        bound = _Bound(socket)
        bound.note(1_000)
        assert bound.most == HIGH_WATER_MARK
        bound.note(QUEUE_BYTES // 10)
        assert bound.most == 10
        bound.note(2 * QUEUE_BYTES)
        assert bound.most == 1
        for _ in range(3 * bound.WINDOW):
            bound.note(1_000)
        assert bound.most == HIGH_WATER_MARK
    finally:
        socket.close()
        context.term()
