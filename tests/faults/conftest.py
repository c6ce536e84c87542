"""A whole live unit that faults are put into, and the broker and subscriber of its uplink.

The parts that tests of single components already have are taken from there: the broker and the
subscriber of `tests/uplink`, the clip and the listening unit of `tests/runtime`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import IO, Any

import pytest

TESTS = Path(__file__).resolve().parent.parent


def _part(path: str) -> ModuleType:
    """A module of another part's tests, which are no package."""
    name = "faults_" + path.replace("/", "_").removesuffix(".py")
    spec = importlib.util.spec_from_file_location(name, TESTS / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


_uplink = _part("uplink/conftest.py")
_host = _part("runtime/test_process_host.py")

until = _uplink.until
make_broker = _uplink.make_broker
subscribe = _uplink.subscribe
wait_until = _uplink.wait_until
processes = _host.processes
all_running = _host.all_running

SITE = """
site:
  id: faulty
  origin: {{latitude: 31.2, longitude: 121.5}}
cameras:
{cameras}
v2x: {{rsu_id: "00000000000000a1", trust_clock: true}}
radios:
  - {{id: air, driver: udp, host: 127.0.0.1, port: {port}, listen_port: {listen}}}
uplink:
  host: 127.0.0.1
  port: {broker}
  keepalive_s: 5
  tracks_s: 0.2
  health_s: 1
  outbox: {{path: {outbox}}}
recording: {{folder: {recordings}}}
runtime:
  socket_folder: {sockets}
  heartbeat_s: 3
  restart: {{first_s: 0.1, longest_s: 0.5, breaker_count: 1000}}
"""


class LiveUnit(_host.Unit):  # type: ignore[name-defined, misc]
    """A running `rsu run` with an ear, a systemd that hears its notifications, and its log."""

    def __init__(self, folder: Path, broker_port: int, **where: str) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="rsu-f")  # sockets need short paths
        scratch = Path(self._scratch.name)
        self.broker_port = broker_port
        self._lines: list[str] = []
        self._readers: list[threading.Thread] = []
        self.ear_port = 0
        self.ear = self._open_ear()
        self._notify_path = scratch / "notify"
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(self._notify_path))
        self._notify.settimeout(0.2)
        self._told: deque[str] = deque()
        self._closing = threading.Event()
        # Read all the time: whoever notifies a full socket waits.
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()
        super().__init__(folder, scratch / "run", None, self.ear, _host.free_udp_port(), [])
        _host.make_clip(folder / "clip.avi", 8)
        cameras = "".join(
            _host.CAMERA.format(
                name=f"cam{n}", clip="clip.avi", loop="true", east=100 * n, east_end=100 * n + 30
            )
            for n in range(2)
        )
        places = {"outbox": "outbox.db", "recordings": "recordings"} | where
        text = SITE.format(
            cameras=cameras, port=self.ear_port, listen=self.listen_port, broker=broker_port,
            sockets=self.sockets, **places,
        )  # fmt: skip
        self.site.write_text(text, encoding="utf-8")

    def start(self) -> float:
        """Start it; returns the seconds until it was ready."""
        began = time.monotonic()
        # Through a pipe, as to journald: a full disk is to hit the unit's data, not our view of it.
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rsu.cli", "run", str(self.site)],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env=os.environ | {"NOTIFY_SOCKET": str(self._notify_path)},
        )  # fmt: skip
        self._readers.append(threading.Thread(target=self._read, args=(self.process.stderr,)))
        self._readers[-1].start()
        wait_until(lambda: "READY=1" in self.notifications(), 60.0, lambda: self._lines)
        return time.monotonic() - began

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                self._lines.append(line.decode())

    def notifications(self) -> list[str]:
        """What systemd would have been told since the last look."""
        told: list[str] = []
        with contextlib.suppress(IndexError):
            while True:
                told.append(self._told.popleft())
        return told

    def _listen(self) -> None:
        while not self._closing.is_set():
            with contextlib.suppress(TimeoutError):
                self._told.extend(self._notify.recv(4096).decode().splitlines())

    def log(self) -> list[dict[str, Any]]:
        """What was logged; findings about the site file stand before it in plain text."""
        # Two processes may have written at once: several objects in one line.
        decode, said = json.JSONDecoder().raw_decode, []
        for line in list(self._lines):
            rest = line.strip()
            while rest.startswith("{"):
                found, end = decode(rest)
                said.append(found)
                rest = rest[end:]
        return said

    def pid(self, name: str) -> int:
        return int(processes(self.status())[name]["pid"])

    def metric(self, process: str, name: str, **labels: str) -> float:
        """Sum of a metric of one process; 0 where it has not been told."""
        return sum(
            sample["value"]
            for sample in self.status()["metrics"].get(process, [])
            if sample["name"] == name and labels.items() <= sample.get("labels", {}).items()
        )

    def wait_metric(self, condition: Callable[[], object], what: str) -> None:
        wait_until(condition, 60.0, what)

    def speaks_on(self, frames: int = 10) -> None:
        """Wait until it has said some more."""
        said = self.status()["frames"].get("RSM", 0)
        wait_until(
            lambda: self.status()["frames"].get("RSM", 0) >= said + frames, 60.0,
            lambda: f"silent since {said}: {self.status()} {self._lines[-10:]}",
        )  # fmt: skip

    def close_ear(self) -> None:
        self.ear.close()

    def open_ear(self) -> None:
        self.ear = self._open_ear()

    def _open_ear(self) -> socket.socket:
        ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        ear.bind(("127.0.0.1", self.ear_port))
        self.ear_port = ear.getsockname()[1]
        ear.setblocking(False)
        return ear

    def end(self) -> int:
        """Stop it like systemd does; returns the exit code."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=30)
        return -1 if self.process is None else int(self.process.returncode)

    def close(self) -> None:
        self.end()
        for reader in self._readers:
            reader.join(30.0)
        self._closing.set()
        self._listener.join(30.0)
        self.ear.close()
        self._notify.close()
        self._scratch.cleanup()


class SlowLine:
    """A TCP proxy: `rate` octets/s each way, `delay_s` each way, cut after `cut_after` octets."""

    def __init__(self, port: int, rate: float, delay_s: float, cut_after: int) -> None:
        self._port, self.rate, self.delay_s, self.cut_after = port, rate, delay_s, cut_after
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(0.1)
        self.port = self._server.getsockname()[1]
        self.cuts = 0
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while not self._ending.is_set():
            try:
                near, _ = self._server.accept()
            except TimeoutError:
                continue
            # Small buffers: what the line does not take waits with the sender, as on a real one.
            near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            try:
                far = socket.create_connection(("127.0.0.1", self._port))
            except OSError:  # nobody there: so it ends for who asked
                near.close()
                continue
            pair = [(near, far, True), (far, near, False)]
            dead = threading.Event()
            for source, sink, up in pair:
                thread = threading.Thread(target=self._carry, args=(source, sink, up, dead))
                self._threads.append(thread)
                thread.start()

    def _carry(
        self, source: socket.socket, sink: socket.socket, up: bool, dead: threading.Event
    ) -> None:
        """One direction; whoever ends first ends both, each closes the socket that it reads."""
        carried = 0
        under_way: list[tuple[float, bytes]] = []
        source.settimeout(0.02)
        pause = threading.Event()
        try:
            while not (self._ending.is_set() or dead.is_set()):
                try:
                    # As much as fills the line: fewer would make it slower than its rate.
                    if sum(len(data) for _, data in under_way) < 1024 + self.rate * self.delay_s:
                        data = source.recv(512)
                        if not data:
                            break
                        under_way.append((time.monotonic() + self.delay_s, data))
                        pause.wait(len(data) / self.rate)
                    else:
                        pause.wait(0.01)
                except TimeoutError:
                    pass
                while under_way and under_way[0][0] <= time.monotonic():
                    data = under_way.pop(0)[1]
                    sink.sendall(data)
                    carried += len(data)
                if up and carried > self.cut_after:
                    self.cuts += 1
                    break
        except OSError:
            pass
        finally:
            dead.set()
            source.close()

    def close(self) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join(10.0)
        self._server.close()


def limit(pid: int, what: int, soft: int) -> tuple[int, int]:
    """Set a process's soft limit; returns what it was. The hard one stays, so it can be undone."""
    before = resource.prlimit(pid, what)
    resource.prlimit(pid, what, (soft, before[1]))
    return before


def free_tcp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def live(
    mosquitto: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[LiveUnit, Any, Any]]:
    """(unit, broker, subscriber); the unit was started while there was no broker."""
    folder = tmp_path_factory.mktemp("unit")
    broker = _uplink.Broker(mosquitto, folder / "broker", free_tcp_port())
    unit = LiveUnit(folder, broker.port)
    subscriber = None
    try:
        unit.start()
        broker.start()
        subscriber = _uplink.Subscriber(broker.port, "rsu/#")
        wait_until(broker.saved_subscription)
        yield unit, broker, subscriber
    finally:
        unit.close()
        if subscriber is not None:
            subscriber.close()
        broker.kill()


@pytest.fixture
def make_unit(tmp_path: Path) -> Iterator[Callable[..., LiveUnit]]:
    """Maker of units of a test's own, which nobody has started yet."""
    made: list[LiveUnit] = []

    def make(broker_port: int, **where: str) -> LiveUnit:
        made.append(LiveUnit(tmp_path, broker_port, **where))
        return made[-1]

    yield make
    for unit in made:
        unit.close()


class Parts:
    """What tests need besides fixtures."""

    wait_until = staticmethod(wait_until)
    processes = staticmethod(processes)
    all_running = staticmethod(all_running)
    limit = staticmethod(limit)
    SlowLine = SlowLine
    free_tcp_port = staticmethod(free_tcp_port)


@pytest.fixture(scope="session")
def parts() -> type[Parts]:
    return Parts
