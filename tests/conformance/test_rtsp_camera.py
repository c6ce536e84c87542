"""The rtsp driver against cameras that refuse, say nothing, want a password, or come back."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from rsu.config.cameras import RtspSourceOptions
from rsu.hal.camera.base import LivePace
from rsu.hal.camera.live import LiveCamera
from rsu.hal.camera.rtsp import FFMPEG_OPTIONS, RtspSource
from rsu.hal.errors import DeviceError
from rsu.schema.health import SensorState
from rsu.schema.units import Instant

BOUND_S = 20.0
SECRET = "s3cr:t/@ü"


def now() -> Instant:
    return Instant(time.time_ns(), time.monotonic_ns())


def make(url: str, base: Path = Path(), **options: object) -> RtspSource:
    fields = {"driver": "rtsp", "url": url, "late_s": 0.5, "open_timeout_s": 5.0, **options}
    return RtspSource(
        RtspSourceOptions.model_validate(fields), base, LivePace(now, threading.Event().wait)
    )


def refusal(source: RtspSource) -> DeviceError:
    with pytest.raises(DeviceError) as caught:
        source.open()
    source.close()
    return caught.value


def read_on(source: RtspSource) -> None:
    end_s = time.monotonic() + BOUND_S
    while time.monotonic() < end_s:
        source.read(0.5)


def eventually(condition: Callable[[], bool]) -> bool:
    end_s = time.monotonic() + BOUND_S
    while not condition():
        if time.monotonic() > end_s:
            return False
        time.sleep(0.02)
    return True


def test_a_port_nobody_listens_on_is_a_device_error(free_port: int) -> None:
    error = refusal(make(f"rtsp://127.0.0.1:{free_port}/live"))
    assert f"127.0.0.1:{free_port}" in error.problem


def test_a_camera_that_accepts_and_says_nothing_is_given_up(devices: SimpleNamespace) -> None:
    camera = devices.rtsp(silent=True)
    error = refusal(make(camera.url, open_timeout_s=1.0))
    assert "within 1 s" in error.problem


def test_a_stream_that_falls_silent_is_given_up(devices: SimpleNamespace) -> None:
    camera = devices.rtsp(falls_silent=True)
    source = make(camera.url)
    source.open()
    with pytest.raises(DeviceError, match="broke off"):
        read_on(source)
    source.close()


def test_credentials_reach_the_camera_and_no_message(
    devices: SimpleNamespace, capfd: pytest.CaptureFixture[str]
) -> None:
    credentials = devices.folder / "credentials"
    credentials.write_text(f"rsu:{SECRET}\n")
    camera = devices.rtsp(password=SECRET)
    source = make(camera.url, devices.folder, credentials_file="credentials")
    source.open()
    source.close()
    credentials.write_text("rsu:wrong-Pa55\n")
    error = refusal(make(camera.url, devices.folder, credentials_file="credentials"))
    said = str(error) + "".join(capfd.readouterr())
    assert "Pa55" not in said
    assert SECRET not in said
    assert error.__cause__ is None


@pytest.mark.parametrize("text", ["", "no colon\n", ":no name", "a:b\nc:d", "x" * 600])
def test_a_credentials_file_of_another_form_is_refused_without_showing_it(
    text: str, tmp_path: Path
) -> None:
    (tmp_path / "credentials").write_text(text)
    error = refusal(make("rtsp://127.0.0.1:9/live", tmp_path, credentials_file="credentials"))
    assert "user:password" in str(error)
    assert not text or text not in str(error)


def test_a_missing_credentials_file_is_named(tmp_path: Path) -> None:
    error = refusal(make("rtsp://127.0.0.1:9/live", tmp_path, credentials_file="absent"))
    assert "absent" in error.problem


@pytest.mark.parametrize(("transport", "asked"), [("tcp", "RTP/AVP/TCP;"), ("udp", "RTP/AVP/UDP;")])
def test_the_camera_is_asked_for_the_configured_transport(
    transport: str, asked: str, devices: SimpleNamespace
) -> None:
    camera = devices.rtsp()
    source = make(f"{camera.url}?channel=1&subtype=0", transport=transport)
    if transport == "tcp":
        source.open()
        source.close()
    else:
        refusal(source)  # this camera has no UDP; what counts is that it was asked
    setup = next(request for request in camera.requests if request.startswith("SETUP"))
    assert asked in setup
    assert "?channel=1&subtype=0 " in setup
    assert FFMPEG_OPTIONS not in os.environ


def test_frames_that_queued_up_while_opening_are_dropped(devices: SimpleNamespace) -> None:
    source = make(devices.rtsp().url)
    source.open()
    frame = None
    while frame is None:
        frame = source.read(0.5)
    assert source.dropped["backlog"] >= 1
    assert now().utc_ns - frame.capture_ns < 1_000_000_000
    source.close()


def test_a_camera_that_is_cut_off_is_gone_and_comes_back_by_itself(
    devices: SimpleNamespace,
) -> None:
    camera = devices.rtsp()
    options = RtspSourceOptions.model_validate(
        {"driver": "rtsp", "url": camera.url, "reconnect": {"first_s": 0.3}}
    )
    live = LiveCamera("north", options, devices.folder, now)
    live.start()
    states = set()

    def seen(state: SensorState) -> Callable[[], bool]:
        def look() -> bool:
            live.take(0.0)
            states.add(live.health(now()).state)
            return state in states

        return look

    assert eventually(seen(SensorState.LIVE))
    camera.cut()
    assert eventually(seen(SensorState.GONE))
    assert "broke off" in live.health(now()).detail
    states.clear()
    assert eventually(seen(SensorState.LIVE))
    assert live.health(now()).reconnects == 1
    assert live.stop()


def test_stopping_while_the_camera_does_not_answer_is_bounded(devices: SimpleNamespace) -> None:
    camera = devices.rtsp(silent=True)
    options = RtspSourceOptions.model_validate(
        {"driver": "rtsp", "url": camera.url, "open_timeout_s": 1.5}
    )
    live = LiveCamera("north", options, devices.folder, now)
    live.start()
    assert eventually(lambda: bool(camera.requests))
    assert live.stop()


def test_nothing_is_heard_of_a_listener_that_never_accepts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"rtsp://127.0.0.1:{listener.getsockname()[1]}/live"
        refusal(make(url, open_timeout_s=1.0))
