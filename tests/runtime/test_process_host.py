"""A live unit of several processes: what it puts on the air, how it survives, what it remembers."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from rsu.recording.reader import read_messages
from rsu.runtime.status import Request, ask_unit
from rsu.schema.topics import RADIO_REPORT, V2X_TX
from rsu.v2x.codec import codec_for

pytestmark = [pytest.mark.component, pytest.mark.timeout(180)]

FRAMES_PER_S = 10
PATIENCE_S = 60.0
"""Bound of every wait: far above what is needed, so that only a hang trips it."""
LOOK_S = 0.05
"""Between two looks at a unit that says nothing: looking all the time would slow it down."""


def make_clip(path: Path, seconds: int) -> None:
    """A light block drives across a dark, slightly noisy road."""
    noise = np.random.default_rng(1)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FRAMES_PER_S, (320, 240))
    for frame in range(seconds * FRAMES_PER_S):
        image = noise.integers(60, 66, (240, 320, 3), dtype=np.uint8)
        left = (frame * 4) % 400 - 60
        cv2.rectangle(image, (left, 120), (left + 60, 150), (220, 220, 220), -1)
        writer.write(image)
    writer.release()


SITE = """
site:
  id: live-test
  origin: {{latitude: 31.2, longitude: 121.5}}
cameras:
{cameras}
v2x: {{rsu_id: "00000000000000a1", trust_clock: true}}
radios:
  - {{id: air, driver: udp, host: 127.0.0.1, port: {port}, listen_port: {listen}}}
recording: {{folder: recordings}}
runtime:
  socket_folder: {sockets}
  restart: {{first_s: 0.1}}
"""

CAMERA = """
  - id: {name}
    source: {{driver: file, path: {clip}, loop: {loop}, blur_level: 0}}  # drawn, not seen
    calibration:
      kind: homography
      image_width: 320
      image_height: 240
      points:
        - {{image: [0, 239], ground: [{east}, 10]}}
        - {{image: [319, 239], ground: [{east_end}, 10]}}
        - {{image: [319, 60], ground: [{east_end}, 30]}}
        - {{image: [0, 60], ground: [{east}, 30]}}
    detector: {{driver: motion, warm_up: 5, min_area: 100}}
"""


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Unit:
    """A running `rsu run` and the ear that hears what it says."""

    folder: Path
    sockets: Path
    process: subprocess.Popen[bytes]
    ear: socket.socket
    listen_port: int
    heard: list[bytes]

    @property
    def site(self) -> Path:
        return self.folder / "site.yaml"

    def hear(self, wait_s: float = 0.0) -> None:
        """Take in what has been said so far, waiting at most `wait_s` for the first word."""
        select.select([self.ear], [], [], wait_s)
        while True:
            try:
                self.heard.append(self.ear.recv(65535))
            except BlockingIOError:
                return

    def status(self) -> dict[str, Any]:
        return ask_unit(self.sockets, Request("status"), timeout_s=5)

    def wait_for(self, condition: Callable[[dict[str, Any]], object], what: str) -> dict[str, Any]:
        """The first status that fulfils `condition`."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            assert self.process.poll() is None, "the unit has ended"
            self.hear(LOOK_S)
            try:
                status = self.status()
            except ConnectionError:
                continue
            if condition(status):
                return status
        pytest.fail(f"{what}: not within {PATIENCE_S:g} s")

    def wait_for_end(self) -> int:
        deadline = time.monotonic() + PATIENCE_S
        while self.process.poll() is None:
            self.hear(LOOK_S)
            assert time.monotonic() < deadline, "the unit does not end"
        self.hear()
        return int(self.process.returncode)


def processes(status: dict[str, Any]) -> dict[str, dict[str, Any]]:
    unit = status["unit"] or {"processes": []}
    return {process["name"]: process for process in unit["processes"]}


def all_running(status: dict[str, Any]) -> bool:
    states = [process["state"] for process in processes(status).values()]
    return bool(states) and set(states) == {"running"}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Unit]]:
    """Starter of units; all are stopped at the end of the test."""
    units: list[Unit] = []
    sockets = Path(f"/tmp/rsu-test-{os.getpid()}")  # short: socket paths are limited to 107 octets

    def starter(*arguments: str, seconds: int, cameras: int = 2, loop: bool = False) -> Unit:
        make_clip(tmp_path / "clip.avi", seconds)
        ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        ear.bind(("127.0.0.1", 0))
        ear.setblocking(False)
        listen = free_udp_port()
        blocks = "".join(
            CAMERA.format(
                name=f"cam{n}", clip="clip.avi", loop=str(loop).lower(), east=100 * n,
                east_end=100 * n + 30,
            )
            for n in range(cameras)
        )  # fmt: skip
        text = SITE.format(
            cameras=blocks, port=ear.getsockname()[1], listen=listen, sockets=sockets
        )
        (tmp_path / "site.yaml").write_text(text, encoding="utf-8")
        process = subprocess.Popen(
            [sys.executable, "-m", "rsu.cli", "run", str(tmp_path / "site.yaml"), *arguments],
            stdin=subprocess.DEVNULL,
        )
        units.append(Unit(tmp_path, sockets, process, ear, listen, []))
        return units[-1]

    yield starter
    for unit in units:
        if unit.process.poll() is None:
            unit.process.terminate()
            unit.process.wait(timeout=30)
        unit.ear.close()


def replayed_payloads(unit: Unit) -> tuple[list[bytes], dict[str, Any]]:
    """V2X payloads of a lock-step replay of everything the unit recorded."""
    out = unit.folder / "replayed.mcap"
    done = subprocess.run(
        [sys.executable, "-m", "rsu.cli", "replay", str(unit.folder / "recordings"), "--site",
         str(unit.site), "--out", str(out), "--json"],
        check=True, capture_output=True, timeout=PATIENCE_S,
    )  # fmt: skip
    payloads = [message.payload.payload for message in read_messages(out, [V2X_TX])]
    return payloads, json.loads(done.stdout)


def test_a_live_recording_replays_to_the_very_bytes_that_were_on_the_air(
    start: Callable[..., Unit],
) -> None:
    unit = start("--stop-when-ended", seconds=5)
    assert unit.wait_for_end() == 0
    assert len(unit.heard) > 20, "hardly anything was said: the test would prove little"
    payloads, summary = replayed_payloads(unit)
    assert summary["replay"].startswith("exact")
    assert payloads == unit.heard
    participants = [
        len(message.payload.subjects)
        for message in read_messages(unit.folder / "recordings", [V2X_TX])
    ]
    assert max(participants) >= 2, "both cameras' objects should have been stated"


def test_every_child_that_is_killed_comes_back_and_the_rest_is_undisturbed(
    start: Callable[..., Unit],
) -> None:
    unit = start(seconds=10, loop=True)
    before = unit.wait_for(
        lambda status: all_running(status) and status["frames"].get("RSM", 0) > 5, "first frames"
    )
    names = list(processes(before))
    assert names == ["recorder", "radio:air", "core", "camera:cam0", "camera:cam1"]
    for name in names:
        old = processes(unit.status())
        os.kill(old[name]["pid"], signal.SIGKILL)
        new = processes(
            unit.wait_for(
                lambda status, name=name, old=old: (
                    all_running(status) and processes(status)[name]["pid"] != old[name]["pid"]
                ),
                f"{name} back",
            )
        )
        assert new[name]["restarts"] == 1
        for other in names:
            if other != name:
                assert new[other]["pid"] == old[other]["pid"]
    unit.process.send_signal(signal.SIGTERM)
    assert unit.wait_for_end() == 0
    reports = list(read_messages(unit.folder / "recordings", [RADIO_REPORT], allow_unfinished=True))
    assert reports, "what was recorded before the kills must be readable"


def test_a_killed_core_still_replays_to_what_was_on_the_air(start: Callable[..., Unit]) -> None:
    unit = start(seconds=10, loop=True, cameras=1)
    status = unit.wait_for(
        lambda status: all_running(status) and status["frames"].get("RSM", 0) > 5, "first frames"
    )
    os.kill(processes(status)["core"]["pid"], signal.SIGKILL)
    said = len(unit.heard)
    unit.wait_for(
        lambda status: (
            all_running(status)
            and processes(status)["core"]["restarts"] == 1
            and len(unit.heard) > said + 10
        ),
        "speaking again",
    )
    unit.process.send_signal(signal.SIGTERM)
    assert unit.wait_for_end() == 0
    payloads, summary = replayed_payloads(unit)
    assert summary["replay"].startswith("exact")
    assert summary["replay"].endswith("of 2 run(s) repeated")
    assert payloads == unit.heard


def test_sigterm_stops_everything_within_its_bound_and_leaves_no_process(
    start: Callable[..., Unit],
) -> None:
    unit = start(seconds=10, loop=True, cameras=1)
    status = unit.wait_for(all_running, "all running")
    pids = [process["pid"] for process in processes(status).values()]
    unit.process.send_signal(signal.SIGTERM)
    assert unit.wait_for_end() == 0, "a child had to be killed"
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_children_leave_when_their_supervisor_is_killed(start: Callable[..., Unit]) -> None:
    unit = start(seconds=10, loop=True, cameras=1)
    status = unit.wait_for(all_running, "all running")
    pids = [process["pid"] for process in processes(status).values()]
    unit.process.kill()
    unit.process.wait()
    deadline = time.monotonic() + PATIENCE_S
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        unit.hear(LOOK_S)
        assert time.monotonic() < deadline, "orphans"


def test_nothing_from_outside_disturbs_a_unit(start: Callable[..., Unit]) -> None:
    unit = start(seconds=10, loop=True, cameras=1)
    unit.wait_for(all_running, "all running")
    # Oversized and random datagrams on the socket that it receives by.
    noise = np.random.default_rng(7)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for size in (0, 1, 100, 9000, 65000):
            sender.sendto(noise.bytes(size), ("127.0.0.1", unit.listen_port))
        sender.sendto(b"\x20" * 40, ("127.0.0.1", unit.listen_port))
    said = unit.status()["frames"].get("RSM", 0)
    status = unit.wait_for(lambda status: status["frames"].get("RSM", 0) > said + 10, "speaking on")
    assert all_running(status)
    assert processes(status)["radio:air"]["restarts"] == 0
    # A second unit on the same sockets.
    second = subprocess.run(
        [sys.executable, "-m", "rsu.cli", "run", str(unit.site)],
        capture_output=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert second.returncode == 3
    assert b"Traceback" not in second.stderr
    assert b"already running" in second.stderr
    assert all_running(unit.status())


def test_the_example_junction_runs_live_with_its_simulated_cameras(
    root: Path, tmp_path: Path
) -> None:
    for name in ("junction.yaml", "junction-lanes.geojson", "junction-zones.geojson"):
        shutil.copy(root / "configs" / name, tmp_path)
    sockets = Path(f"/tmp/rsu-junction-{os.getpid()}")
    site = tmp_path / "junction.yaml"
    text = site.read_text(encoding="utf-8") + f"runtime: {{socket_folder: {sockets}}}\n"
    site.write_text(text.replace("../var", "var"), encoding="utf-8")
    command = [sys.executable, "-m", "rsu.cli", "run", str(site)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        unit = Unit(tmp_path, sockets, process, ear, 0, [])
        ear.setblocking(False)
        try:
            status = unit.wait_for(
                lambda status: (
                    all_running(status)
                    and status["frames"].get("RSM", 0) > 20
                    and {sensor["state"] for sensor in status["sensors"].values()} == {"live"}
                ),
                "RSM, with all sensors live",
            )
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)
    assert "simulation" in processes(status)
    assert {sensor["state"] for sensor in status["sensors"].values()} == {"live"}
    lines = next(tmp_path.rglob("*.jsonl")).read_text(encoding="utf-8").splitlines()
    frames = [json.loads(line) for line in lines]
    # Nothing happens there by itself: an event would be a false one.
    events = [frame for frame in frames if frame["message"] == "RSI"]
    codec = codec_for("csae53_2020")
    assert not events, [codec.decode(bytes.fromhex(event["hex"])) for event in events[:3]]
    assert {frame["message"] for frame in frames} == {"RSM", "SPAT", "MAP"}
