"""How the running unit is, for `rsu status`, `rsu explain` and Prometheus.

In: health, metrics and decisions from the bus. Out: one JSON answer per request on a local socket
(mode 0600 by its folder) and, where configured, Prometheus text on the loopback interface.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import zmq

from rsu.runtime.capability import Alarms, state_of
from rsu.runtime.metrics import prometheus_text
from rsu.schema.health import (
    Decision,
    Metrics,
    ProcessHealth,
    SensorAlarm,
    SensorHealth,
    UnitHealth,
)
from rsu.schema.message import Message
from rsu.schema.sensing import SensorKind
from rsu.schema.units import NS_PER_S, Instant
from rsu.schema.v2x import V2xFrame

DECISIONS_KEPT = 5000
"""About an hour of a merged trace at 1–2 decisions a second, 1 MB."""
MAX_REQUEST_BYTES = 4096
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Request(msgspec.Struct, frozen=True):
    """A question to the unit: `ask` is `status` or `decisions`; `subject` filters decisions."""

    ask: str
    subject: str = ""


class Overview:
    """The newest word of everyone."""

    def __init__(
        self, site: str, configured: Mapping[str, SensorKind], boot: Instant
    ) -> None:  # fmt: skip
        self.site = site
        self.configured = dict(configured)
        self.boot = boot
        self.unit: UnitHealth | None = None
        self.processes: tuple[ProcessHealth, ...] = ()  # as of now, not of the last second
        self.sensors: dict[str, SensorHealth] = {}
        self.alarms = Alarms()
        self.metrics: dict[str, Metrics] = {}
        self.errors: dict[str, str] = {}
        self.decisions: deque[Decision] = deque(maxlen=DECISIONS_KEPT)
        self.frames: dict[str, int] = {}
        self._lock = threading.Lock()  # the Prometheus thread reads `metrics`

    def follow(self, configured: Mapping[str, SensorKind], processes: Iterable[str]) -> None:
        """The configuration has changed: who is gone is not spoken of."""
        self.configured = dict(configured)
        with self._lock:
            for gone in set(self.metrics) - {"unit", *processes}:
                del self.metrics[gone]
        for gone in set(self.sensors) - set(configured):
            del self.sensors[gone]

    def take(self, message: Message) -> None:
        """Take one message from the bus."""
        payload = message.payload
        if isinstance(payload, SensorHealth):
            self.sensors[payload.sensor] = payload
        elif isinstance(payload, SensorAlarm):
            self.alarms.take(payload)
        elif isinstance(payload, Metrics):
            with self._lock:
                self.metrics[payload.process] = payload
        elif isinstance(payload, Decision):
            self.decisions.append(payload)
        elif isinstance(payload, V2xFrame):
            name = payload.message
            self.frames[name] = self.frames.get(name, 0) + 1

    def as_json(self) -> dict[str, Any]:
        """Everything, as plain data."""
        now_ns = self.unit.time_ns if self.unit else self.boot.utc_ns
        alarms = self.alarms.standing(now_ns)
        return {
            "site": self.site,
            "uptime_s": round((now_ns - self.boot.utc_ns) / NS_PER_S, 1),
            **self.readiness()[1],
            "unit": msgspec.to_builtins(self._unit_now()) if self.unit else None,
            "sensors": {
                name: {
                    **(msgspec.to_builtins(self.sensors[name]) if name in self.sensors else {}),
                    "state": str(state_of(self.sensors.get(name), now_ns, alarms)),
                }
                for name in self.configured
            },
            "frames": dict(sorted(self.frames.items())),
            "errors": self.errors,
            "metrics": {name: msgspec.to_builtins(m.samples) for name, m in self.metrics.items()},
        }

    def _unit_now(self) -> UnitHealth | None:
        if self.unit is None:
            return None
        return msgspec.structs.replace(self.unit, processes=self.processes or self.unit.processes)

    def readiness(self) -> tuple[bool, dict[str, Any]]:
        """Whether every process runs, and why not; for `/healthz`, from any thread.

        What is degraded but running is told and does not make the unit unready: it says less, and
        restarting it would say nothing for a while.
        """
        unit = self.unit
        if unit is None:
            return False, {"ready": False, "reasons": ["starting"], "degraded": []}
        reasons = [f"{p.name} is {p.state}" for p in self.processes if p.state != "running"]
        degraded = []
        if unit.capability != "full":
            degraded.append(f"capability {unit.capability}")
        if unit.clock != "locked":
            degraded.append(f"clock {unit.clock}")
        if unit.shed_level:
            degraded.append(f"shedding load, level {unit.shed_level}: {unit.shed_reason}")
        degraded += [f"alarm {a.kind} of {a.sensor} against {a.against}" for a in unit.alarms]
        ready = not reasons
        return ready, {"ready": ready, "reasons": reasons, "degraded": degraded}

    def exposition(self) -> bytes:
        """Prometheus text of every process; callable from any thread."""
        with self._lock:
            latest = list(self.metrics.values())
        return prometheus_text(latest)


class StatusServer:
    """Answers requests between the host's turns; never blocks it."""

    def __init__(self, folder: Path, metrics_port: int | None) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.REP)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_REQUEST_BYTES)
        self._socket.bind(f"ipc://{folder}/status")
        self._metrics_port = metrics_port
        self._http: ThreadingHTTPServer | None = None

    def answer(self, overview: Overview) -> None:
        """Answer what has been asked since the last call."""
        if self._metrics_port is not None and self._http is None:
            self._http = serve_metrics(self._metrics_port, overview)
        while self._socket.poll(0):
            self._socket.send(_answer(self._socket.recv(), overview))

    def close(self) -> None:
        if self._http is not None:
            self._http.shutdown()
            self._http.server_close()
        self._socket.close()
        self._context.term()


def ask_unit(folder: Path, request: Request, timeout_s: float = 2.0) -> dict[str, Any]:
    """Ask a running unit; raises ConnectionError when none answers."""
    context = zmq.Context()
    socket = context.socket(zmq.REQ)
    socket.setsockopt(zmq.LINGER, 0)
    try:
        socket.connect(f"ipc://{folder}/status")
        socket.send(msgspec.json.encode(request))
        if not socket.poll(int(timeout_s * 1000)):
            raise ConnectionError(f"no unit answers in {folder}; is `rsu run` running?")
        answer: dict[str, Any] = msgspec.json.decode(socket.recv())
        return answer
    finally:
        socket.close()
        context.term()


def _answer(raw: bytes, overview: Overview) -> bytes:
    try:
        request = msgspec.json.decode(raw, type=Request)
    except msgspec.DecodeError as error:
        return msgspec.json.encode({"error": f"not a request: {error}"})
    if request.ask == "status":
        return msgspec.json.encode(overview.as_json())
    if request.ask == "decisions":
        wanted = [d for d in overview.decisions if request.subject in ("", d.subject)]
        return msgspec.json.encode({"decisions": wanted})
    return msgspec.json.encode({"error": f"unknown request {request.ask!r}"})


def serve_metrics(port: int, overview: Overview) -> ThreadingHTTPServer:
    """`/metrics` (Prometheus text) and `/healthz` on 127.0.0.1, in a thread of its own."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 5

        def do_GET(self) -> None:
            path = self.path.split("?", maxsplit=1)[0]
            if path == "/metrics":
                self._say(200, METRICS_TYPE, overview.exposition())
            elif path == "/healthz":
                ready, why = overview.readiness()
                self._say(200 if ready else 503, "application/json", msgspec.json.encode(why))
            else:
                self.send_error(404, "only /metrics and /healthz live here")

        def _say(self, code: int, content_type: str, body: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: Any) -> None:
            """Scrapes are not news."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server
