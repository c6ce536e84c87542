"""A whole unit whose broker is killed and comes back: everything it reported arrives in the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from rsu.recording.reader import read_messages
from rsu.runtime.status import Request, ask_unit
from rsu.schema.topics import UPLINK_REPORT

pytestmark = [pytest.mark.component, pytest.mark.timeout(180)]

SITE = """
site: {{id: uplink-test, origin: {{latitude: 31.2, longitude: 121.5}}}}
cameras:
  - id: cam
    source: {{driver: file, path: clip.avi, loop: true, blur_level: 0}}  # drawn, not seen
    calibration:
      kind: homography
      image_width: 320
      image_height: 240
      points:
        - {{image: [0, 239], ground: [0, 10]}}
        - {{image: [319, 239], ground: [30, 10]}}
        - {{image: [319, 60], ground: [30, 30]}}
        - {{image: [0, 60], ground: [0, 30]}}
    detector: {{driver: motion, warm_up: 5, min_area: 100}}
uplink: {{host: 127.0.0.1, port: {port}, tracks_s: 0.2, health_s: 1, outbox: {{path: outbox.db}}}}
recording: {{folder: recordings}}
runtime: {{socket_folder: {sockets}}}
"""


@pytest.fixture
def unit(tmp_path: Path, free_port: int) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    writer = cv2.VideoWriter(
        str(tmp_path / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (320, 240)
    )
    noise = np.random.default_rng(1)
    for frame in range(80):
        image = noise.integers(60, 66, (240, 320, 3), dtype=np.uint8)
        cv2.rectangle(image, (4 * frame, 120), (4 * frame + 60, 150), (220, 220, 220), -1)
        writer.write(image)
    writer.release()
    sockets = Path(f"/tmp/rsu-uplink-{os.getpid()}")  # socket paths are limited to 107 octets
    text = SITE.format(port=free_port, sockets=sockets)
    (tmp_path / "site.yaml").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "rsu.cli", "run", str(tmp_path / "site.yaml")]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    yield process, sockets
    if process.poll() is None:
        process.terminate()
        process.wait(timeout=30)


def metric(sockets: Path, name: str) -> float:
    """A metric of the uplink process, 0 while the unit does not answer yet."""
    try:
        status: dict[str, Any] = ask_unit(sockets, Request("status"), timeout_s=5)
    except ConnectionError:
        return 0.0
    samples = status["metrics"].get("uplink", [])
    return sum(sample["value"] for sample in samples if sample["name"] == name)


def test_nothing_is_lost_when_the_broker_dies_under_a_running_unit(
    unit: tuple[subprocess.Popen[bytes], Path],
    make_broker: Callable[..., Any],
    subscribe: Callable[..., Any],
    until: Callable[..., None],
    tmp_path: Path,
) -> None:
    process, sockets = unit
    until(lambda: metric(sockets, "uplink_queued") >= 3, 60, "queueing without a broker")
    broker = make_broker()
    broker.start()
    subscriber = subscribe(broker.port)
    until(lambda: len(subscriber.bodies()) >= 10, 60, "first reports")
    until(broker.saved_subscription)
    broker.kill()
    until(lambda: metric(sockets, "uplink_queued") >= 5, 60, "queueing again")
    broker.start()
    before = len(subscriber.bodies())
    # Enough that what is left out below (the last 2 s, some ten reports) leaves plenty to compare.
    until(lambda: len(subscriber.bodies()) >= before + 40, 60, "reports after the restart")
    settled_ns = time.time_ns()
    until(lambda: metric(sockets, "uplink_queued") <= 2, 60, "the backlog drained")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0

    bodies = subscriber.bodies()
    reported = {
        message.payload.id: message.payload.body
        for message in read_messages(tmp_path / "recordings", [UPLINK_REPORT])
        if message.header.publish_ns < settled_ns - 2_000_000_000
    }
    assert len(reported) > 20
    assert set(reported) <= set(bodies), "reports were lost"
    for name, body in reported.items():
        assert set(bodies[name]) == {body}, "a duplicate differs from its first delivery"
