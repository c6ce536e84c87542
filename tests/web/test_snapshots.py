"""Masked pictures of what events began with: the nearest, for as long as the event is shown."""

from __future__ import annotations

from typing import Any

import pytest

from rsu.schema.events import EventEnding, EventPhase, Snapshot
from rsu.schema.message import Message
from rsu.schema.preview import CameraPreview, Masking
from rsu.schema.topics import CAMERA_PREVIEW
from rsu.schema.units import NS_PER_MS, NS_PER_S
from rsu.web.scene import ENDED_SHOWN_NS, EVENTS_KEPT
from rsu.web.view import View

NOW = 1_735_689_600 * NS_PER_S
S = NS_PER_S


@pytest.fixture
def view() -> View:
    return View({})


def show(view: View, sensor: str, number: int, capture_ns: int) -> CameraPreview:
    preview = CameraPreview(
        sensor=sensor, frame=number, capture_ns=capture_ns, width=64, height=36, scale=1.0,
        jpeg=b"\xff\xd8" + bytes([number]), masked=True, masking=Masking.REGIONS,
    )  # fmt: skip
    view.take(Message.draft(CAMERA_PREVIEW, sensor, capture_ns, preview))
    return preview


def look(sensor: str, number: int, capture_ns: int) -> Snapshot:
    return Snapshot(sensor=sensor, number=number, capture_ns=capture_ns)


def looks(view: View, now_ns: int) -> list[dict[str, Any]]:
    (event,) = view.snapshot(now_ns)["events"]
    told: list[dict[str, Any]] = event["snapshots"]
    return told


def test_the_picture_nearest_to_the_look_is_kept(view: View, tell: Any) -> None:
    show(view, "north", 1, NOW - 400 * NS_PER_MS)
    show(view, "south", 1, NOW - 300 * NS_PER_MS)
    began = (look("north", 5, NOW), look("west", 9, NOW))
    view.take(tell.event(NOW, snapshots=began))
    first, second = looks(view, NOW)
    assert (first["sensor"], first["number"], first["off_s"]) == ("north", 5, -0.4)
    assert second == {
        "sensor": "west", "number": 9, "time_ms": NOW // NS_PER_MS, "picture": None,
        "masked": None, "off_s": None,
    }  # fmt: skip
    nearer = show(view, "north", 6, NOW + 100 * NS_PER_MS)
    show(view, "north", 11, NOW + 600 * NS_PER_MS)
    first, _ = looks(view, NOW + S)
    assert (first["picture"], first["off_s"], first["masked"]) == (
        f"6-{nearer.capture_ns}",
        0.1,
        True,
    )
    # Long after the camera's own row has gone on it is still there for the page.
    for number in range(20, 40):
        show(view, "north", number, NOW + number * S)
    assert view.preview("north", first["picture"]) is nearer
    assert view.preview("south", first["picture"]) is None


def test_a_picture_of_another_second_is_no_evidence(view: View, tell: Any) -> None:
    show(view, "north", 1, NOW - 1200 * NS_PER_MS)
    view.take(tell.event(NOW, snapshots=(look("north", 5, NOW),)))
    show(view, "north", 2, NOW + 1200 * NS_PER_MS)
    (only,) = looks(view, NOW + 2 * S)
    assert only["picture"] is None


def test_pictures_go_with_their_event(view: View, tell: Any) -> None:
    kept = show(view, "north", 5, NOW)
    began = (look("north", 5, NOW),)
    view.take(tell.event(NOW, snapshots=began))
    end = {"phase": EventPhase.END, "ending": EventEnding.CLEARED, "start_ns": NOW}
    view.take(tell.event(NOW + 5 * S, snapshots=began, **end))
    for number in range(6, 20):
        show(view, "north", number, NOW + number * S)
    name = f"5-{kept.capture_ns}"
    show(view, "north", 21, NOW + 5 * S + ENDED_SHOWN_NS)
    assert view.preview("north", name) is kept
    show(view, "south", 1, NOW + 6 * S + ENDED_SHOWN_NS)  # nobody has looked at the page
    assert view.preview("north", name) is None


def test_pictures_are_bounded_and_of_this_boot(view: View, tell: Any) -> None:
    for number in range(2 * EVENTS_KEPT):
        at_ns = NOW + number * S
        show(view, "north", 5, at_ns)
        view.take(tell.event(at_ns, id=number, snapshots=(look("north", 5, at_ns),)))
    told = view.snapshot(NOW + 2 * EVENTS_KEPT * S)["events"]
    assert len(told) == EVENTS_KEPT
    assert all(one["snapshots"][0]["picture"] for one in told)
    assert view.preview("north", f"5-{NOW}") is None
    # The same number after a restart is another event.
    tell.boot_ns += 1
    view.take(tell.event(NOW, id=2 * EVENTS_KEPT - 1))
    (only,) = view.snapshot(NOW)["events"]
    assert only["snapshots"] == []
    assert view.preview("north", told[-1]["snapshots"][0]["picture"]) is None
