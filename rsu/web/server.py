"""The web server of the dashboard: one thread with an event loop of its own.

In: a `Desk` that is kept up to date by somebody else. Out: the page, its files, questions answered
as JSON, and `/live`, the WebSocket that snapshots go out on. It listens on one socket; while its
port is taken it tries again, so that a dashboard that cannot start never stops a unit.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from rsu.config.web import WebOptions
from rsu.runtime.explain import REASONS
from rsu.schema.units import NS_PER_MS
from rsu.web.desk import Desk
from rsu.web.fan import SEND_BUFFER, Fan
from rsu.web.guard import Guard, Sessions, read_token
from rsu.web.past import Past, PastError
from rsu.web.settings_page import SettingsPage
from rsu.web.site_file import SiteFile

STATIC = Path(__file__).parent / "static"
MOST_CONNECTIONS = 600
"""250 WebSockets and what their pages fetch meanwhile."""
STOP_S = 2.0
_REASONS = msgspec.json.encode(REASONS)
"""Why something was not said, in words."""


class DashboardServer:
    """Serves one desk. `start` returns when it listens or raises OSError."""

    def __init__(
        self,
        options: WebOptions,
        base: Path,
        desk: Desk,
        past: Past | None = None,
        site_file: SiteFile | None = None,
        *,
        replay: str | None = None,
    ) -> None:
        """`replay` names the recording that `past` shows; None: the present is shown."""
        self.fan = Fan()
        self.desk = desk
        self.past = past
        self._replay = replay
        self._settings_page = SettingsPage(site_file, options.language)
        self.port = options.port
        self._options = options
        self._base = base
        self._sessions = (
            None if options.token_file is None else Sessions(read_token(base / options.token_file))
        )
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        """Where the page is."""
        scheme = "http" if self._options.tls is None else "https"
        host = self._options.host
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}/"

    def start(self) -> None:
        """Listen and serve in a thread. Port 0 in the options is not possible; `port` may be set
        to 0 before, and says afterwards which one the kernel gave."""
        listener = _listen(self._options.host, self.port)
        self.port = listener.getsockname()[1]
        tls = self._options.tls
        config = uvicorn.Config(
            self.application(),
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="on",
            ws="websockets-sansio",
            ws_max_size=1024,  # pages have nothing to say
            ws_per_message_deflate=False,  # snapshots are compressed once, not once a client
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=1,
            ssl_certfile=None if tls is None else self._base / tls.certificate,
            ssl_keyfile=None if tls is None else self._base / tls.key,
            ssl_version=ssl.PROTOCOL_TLS_SERVER,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._serve, args=(listener,), name="web", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Close all connections and wait for the thread, at most a few seconds."""
        if self._server is not None:
            self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(STOP_S)
            if self._thread.is_alive() and self._server is not None:
                self._server.force_exit = True
                self._thread.join(STOP_S)

    @property
    def alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def application(self) -> Any:
        """The whole ASGI application, guarded."""

        @asynccontextmanager
        async def lifespan(_app: Starlette) -> AsyncIterator[None]:
            self.fan.attach(asyncio.get_running_loop())
            async with self._settings_page:
                yield

        app = Starlette(
            lifespan=lifespan,
            routes=[
                Route("/", lambda _: FileResponse(STATIC / "index.html")),
                Route("/healthz", lambda _: PlainTextResponse("ok\n")),
                Route("/api/site", self._site),
                Route("/api/traffic", lambda _: _json(self.desk.history())),
                Route("/api/message", self._message),
                Route("/api/preview", self._preview),
                Route("/api/past/range", self._past_range),
                Route("/api/past", self._past),
                Route("/api/past/incident", self._incident, methods=["POST"]),
                WebSocketRoute("/live", self._live),
                Mount("/assets", StaticFiles(directory=STATIC)),
                Mount("/vendor/echarts", StaticFiles(directory=_echarts())),
                Mount("/", self._settings_page),
            ],
        )
        return Guard(
            app,
            sessions=self._sessions,
            loopback=self._options.loopback,
            secure=self._options.tls is not None,
        )

    def _serve(self, listener: socket.socket) -> None:
        assert self._server is not None
        try:
            asyncio.run(self._server.serve(sockets=[listener]))
        except (OSError, SystemExit) as error:  # uvicorn leaves so when it cannot begin
            structlog.get_logger().error("web", problem=str(error))
        finally:
            listener.close()

    def _site(self, _request: Request) -> Response:
        settings = msgspec.json.encode(
            {
                "language": self._options.language,
                "may_change": self._sessions is not None,
                "replay": self._replay,
            }
        )
        parts = (b'{"place":', self.desk.place, b',"settings":', settings, b',"reasons":', _REASONS)
        return _json(b"".join((*parts, b"}")))

    def _message(self, request: Request) -> Response:
        found = self.desk.message(request.query_params.get("name", ""))
        return _json(found) if found is not None else _problem("not said yet", 404)

    def _preview(self, request: Request) -> Response:
        asked = request.query_params
        found = self.desk.preview(asked.get("sensor", ""), asked.get("frame"))
        if found is None:
            return _problem("no such picture, or no longer", 404)
        return Response(found.jpeg, media_type="image/jpeg")

    def _past_range(self, _request: Request) -> Response:
        try:
            return _json(msgspec.json.encode(self.past.range() if self.past else None))
        except PastError as error:
            return _problem(error, 503)

    def _past(self, request: Request) -> Response:
        try:
            at_ns = int(request.query_params["at_ms"]) * NS_PER_MS
            count = int(request.query_params.get("count", 1))
            step_ns = max(50, int(request.query_params.get("step_ms", 200))) * NS_PER_MS
        except (KeyError, ValueError):
            return _problem("at_ms, count and step_ms are whole numbers", 400)
        try:
            if self.past is None:
                raise PastError("nothing is recorded here")
            told = self.past.snapshots(at_ns, count, step_ns)
        except PastError as error:
            return _problem(error, 404)
        return _json(msgspec.json.encode({"snapshots": told}))

    def _incident(self, request: Request) -> Response:
        if self._sessions is None:
            return _problem("read-only: set web.token_file and log in", 403)
        try:
            if self.past is None:
                raise PastError("nothing is recorded here")
            at_ns = int(request.query_params["at_ms"]) * NS_PER_MS
            name = self.past.save(at_ns, actor_of(request))
        except (KeyError, ValueError):
            return _problem("at_ms is a whole number", 400)
        except PastError as error:
            return _problem(error, 409)
        return _json(msgspec.json.encode({"name": name}))

    async def _live(self, websocket: WebSocket) -> None:
        if self.fan.full:
            self.fan.refused += 1
            text = f"{self.fan.most} pages are open already\n"
            await websocket.send_denial_response(PlainTextResponse(text, 503))
            return
        await websocket.accept()
        feeding = asyncio.create_task(self.fan.feed(websocket.send_bytes))
        try:
            await websocket.receive()  # a page says nothing: whatever comes ends it
        finally:
            feeding.cancel()
            with suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError, OSError):
                await feeding
        with suppress(RuntimeError, WebSocketDisconnect):
            await websocket.close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Inherited by every connection.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        listener.bind((host.strip("[]"), port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def _echarts() -> Path:
    """The charts that NiceGUI brings; found without importing it."""
    import importlib.util

    found = importlib.util.find_spec("nicegui")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "elements" / "echart" / "dist"


def actor_of(request: Request) -> str:
    """Who asks, for the audit log."""
    return f"dashboard:{request.client.host if request.client else '?'}"


def _problem(problem: object, status: int) -> Response:
    return Response(
        msgspec.json.encode({"problem": str(problem)}), status, media_type="application/json"
    )


def _json(data: bytes) -> Response:
    return Response(data, media_type="application/json")
