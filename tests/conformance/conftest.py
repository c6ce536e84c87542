"""Devices that the conformance suites run drivers against, all made here: clips, image folders, and
a network camera that really speaks RTSP (RTP/MJPEG interleaved on TCP, RFC 2326 and RFC 2435).
"""

from __future__ import annotations

import base64
import contextlib
import getpass
import os
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

WIDTH, HEIGHT = 64, 48


def picture(index: int) -> np.ndarray:
    """A BGR image that differs visibly from its neighbours and is never black."""
    image = np.full((HEIGHT, WIDTH, 3), (90, 120, 60), np.uint8)
    left = 4 * index % (WIDTH - 16)
    image[8:24, left : left + 16] = (30, 60, 220)
    return image


def write_clip(path: Path, frames: int = 12, rate_hz: float = 10.0) -> Path:
    """A Motion-JPEG clip; every frame is a key frame."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), rate_hz, (WIDTH, HEIGHT))
    assert writer.isOpened()
    for index in range(frames):
        writer.write(picture(index))
    writer.release()
    return path


def write_images(folder: Path, frames: int = 12, rate_hz: float = 10.0) -> Path:
    """Images named by Unix time in nanoseconds, from 2025-01-01."""
    folder.mkdir()
    for index in range(frames):
        stamp = 1_735_689_600_000_000_000 + round(index * 1e9 / rate_hz)
        assert cv2.imwrite(str(folder / f"{stamp}.png"), picture(index))
    return folder


class RtspCamera:
    """A camera at `url` that streams moving pictures to everyone who asks, until it is cut.

    `requests` collects what clients said; with `password`, user `rsu` must send it (Basic). A
    camera that talks nonsense answers octets that are no RTSP, a silent one nothing at all, one
    that falls silent does so after 60 pictures and keeps the connection.
    """

    def __init__(
        self,
        rate_hz: float = 25.0,
        password: str | None = None,
        talk_nonsense: bool = False,
        silent: bool = False,
        falls_silent: bool = False,
    ) -> None:
        self.requests: list[str] = []
        self._nonsense, self._silent = talk_nonsense, silent
        self._length = 60 if falls_silent else 1_000_000
        self._period_s, self._password = 1.0 / rate_hz, password
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"rtsp://127.0.0.1:{self._listener.getsockname()[1]}/live"
        self._clients: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._listen)]
        self._threads[0].start()

    def cut(self) -> None:
        """Break all running streams, as a pulled cable or a rebooting camera does."""
        for client in self._clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(10)
        assert not any(thread.is_alive() for thread in self._threads)

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                self._clients.append(client)
                self._threads.append(threading.Thread(target=self._serve, args=(client,)))
                self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), client.makefile("rb") as lines:
            while True:
                request = ""
                while not request.endswith("\r\n\r\n"):
                    line = lines.readline()
                    if not line:
                        return
                    request += line.decode()
                self.requests.append(request)
                if self._silent:
                    continue
                if self._nonsense:
                    client.sendall(np.random.default_rng(2).bytes(4096))
                    return
                method = request.split(" ", 1)[0]
                client.sendall(self._answer(method, request))
                if method == "PLAY":
                    self._stream(client)

    def _answer(self, method: str, request: str) -> bytes:
        headers = {line.split(": ")[0]: line.split(": ")[1] for line in request.split("\r\n")[1:-2]}
        token = base64.b64encode(f"rsu:{self._password}".encode()).decode()
        allowed = self._password is None or headers.get("Authorization") == f"Basic {token}"
        answer = f"RTSP/1.0 {'200 OK' if allowed else '401 Unauthorized'}\r\n"
        answer += f"CSeq: {headers['CSeq']}\r\nSession: 1\r\nPublic: DESCRIBE, SETUP, PLAY\r\n"
        body = ""
        if not allowed:
            answer += 'WWW-Authenticate: Basic realm="camera"\r\n'
        elif method == "DESCRIBE":
            body = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 0 RTP/AVP 26\r\n"
            answer += f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
        elif method == "SETUP":
            answer += "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
        return f"{answer}\r\n{body}".encode()

    def _stream(self, client: socket.socket) -> None:
        sequence = 0
        for index in range(self._length):
            for offset, last, payload in jpeg_packets(picture(index)):
                marker = 26 | 0x80 * last
                ticks = round(index * self._period_s * 90_000)
                packet = struct.pack(">BBHII", 0x80, marker, sequence % 65536, ticks, 7) + payload
                client.sendall(struct.pack(">cBH", b"$", 0, len(packet)) + packet)
                sequence += 1
                assert offset < 1 << 24
            time.sleep(self._period_s)  # the camera's frame rate; no test relies on it


def jpeg_packets(image: np.ndarray) -> Iterator[tuple[int, bool, bytes]]:
    """RFC 2435 payloads (offset, last, octets) of one image, quantisation tables included."""
    jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
    tables, at = b"", 2
    while jpeg[at + 1] != 0xDA:  # up to the start of scan
        length = struct.unpack_from(">H", jpeg, at + 2)[0]
        if jpeg[at + 1] == 0xDB:
            segment = jpeg[at + 4 : at + 2 + length]
            tables += b"".join(segment[i + 1 : i + 65] for i in range(0, len(segment), 65))
        at += 2 + length
    scan = jpeg[at + 2 + struct.unpack_from(">H", jpeg, at + 2)[0] : -2]
    for offset in range(0, len(scan), 1200):
        header = struct.pack(">I", offset) + bytes((1, 255, WIDTH // 8, HEIGHT // 8))
        if offset == 0:
            header += struct.pack(">HH", 0, len(tables)) + tables
        yield offset, offset + 1200 >= len(scan), header + scan[offset : offset + 1200]


@pytest.fixture
def rtsp_camera() -> Iterator[Callable[..., RtspCamera]]:
    """Makes network cameras and stops them after the test."""
    cameras: list[RtspCamera] = []

    def make(**options: object) -> RtspCamera:
        cameras.append(RtspCamera(**options))  # type: ignore[arg-type]
        return cameras[-1]

    yield make
    for camera in cameras:
        camera.stop()


@pytest.fixture
def devices(tmp_path: Path, rtsp_camera: Callable[..., RtspCamera]) -> SimpleNamespace:
    """What a row of the driver table needs to make devices of its kind."""
    return SimpleNamespace(
        folder=tmp_path, clip=write_clip, images=write_images, rtsp=rtsp_camera, picture=picture
    )


class Broker:
    """One mosquitto on one loopback port, without any memory; may be killed and started again."""

    def __init__(self, binary: Path, folder: Path, port: int) -> None:
        self.port = port
        self._binary, self._config = binary, folder / "mosquitto.conf"
        self._process: subprocess.Popen[bytes] | None = None
        user = f"user {getpass.getuser()}\n" if os.geteuid() == 0 else ""
        self._config.write_text(f"{user}listener {port} 127.0.0.1\nallow_anonymous true\n")

    def start(self) -> None:
        if self._process is not None:
            return
        self._process = subprocess.Popen(
            [self._binary, "-c", self._config], stderr=subprocess.DEVNULL
        )
        pause = threading.Event()
        for _ in range(1000):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            pause.wait(0.01)
        pytest.fail("mosquitto does not listen")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10.0)
            self._process = None


@pytest.fixture
def device_broker(mosquitto: Path, tmp_path: Path, free_port: int) -> Iterator[Broker]:
    """A broker for devices that publish, on the test's free port; not started."""
    broker = Broker(mosquitto, tmp_path, free_port)
    yield broker
    broker.kill()
