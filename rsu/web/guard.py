"""Who may look, and what a browser may do: in front of every request of the dashboard.

In: ASGI requests. Out: the same to the page, or a refusal. Three rules: the name in `Host` must be
one that the server is for (a foreign name that resolves to this machine is an attack); a WebSocket
or a change that a browser sends must come from our own page (`Origin`); with a token, everything
but the login needs a session. Sessions are signed, not stored: a restart of the unit does not end
them, a new token does.
"""

from __future__ import annotations

import hashlib
import hmac
import html
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request, cookie_parser
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from rsu.config.web import TOKEN_CHARACTERS, is_loopback

COOKIE = "rsu_session"
SESSION_S = 12 * 3600
"""A shift."""
TRIES, TRIES_S = 10, 60.0
"""Wrong tokens accepted a minute, from everybody together: guessing 96 bits is out of reach anyway,
this keeps the log readable."""
LOGIN_OCTETS = 4096
SAFE = ("GET", "HEAD", "OPTIONS")
OPEN_PATHS = ("/login", "/assets/login.css", "/healthz")
"""What needs no session."""

STRICT = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
"""For the live page: our own files only, nothing inline, nothing evaluated."""
NICEGUI = STRICT.replace("script-src 'self'", "script-src 'self' 'unsafe-inline' 'unsafe-eval'") \
    .replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")  # fmt: skip
"""For the pages that NiceGUI builds: it starts from an inline script, Vue compiles templates in the
browser (eval), Quasar sets style attributes. Still nothing from another host."""


class TokenError(Exception):
    """The token file cannot be used."""

    exit_code = 2


def read_token(path: Path) -> str:
    """The login token; TokenError when the file is not there or the token too short."""
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise TokenError(f"{path}: {error}") from error
    if len(token) < TOKEN_CHARACTERS:
        raise TokenError(f"{path}: a login token has at least {TOKEN_CHARACTERS} characters")
    return token


class Sessions:
    """Signed sessions: `<expiry, s>.<HMAC-SHA256 of it under the token>`."""

    def __init__(self, token: str, clock: Callable[[], float] = time.time) -> None:
        self._token = token.encode()
        self._key = hashlib.sha256(b"rsu dashboard session\0" + self._token).digest()
        self._clock = clock
        self._wrong: deque[float] = deque(maxlen=TRIES)

    def login(self, token: str) -> str | None:
        """A new session for the right token, None for a wrong one."""
        if not hmac.compare_digest(token.strip().encode(), self._token):
            self._wrong.append(self._clock())
            return None
        expiry = str(int(self._clock()) + SESSION_S)
        return f"{expiry}.{self._sign(expiry)}"

    @property
    def closed(self) -> bool:
        """Too many wrong tokens within the last minute."""
        return len(self._wrong) == TRIES and self._clock() - self._wrong[0] < TRIES_S

    def valid(self, session: str) -> bool:
        expiry, _, signature = session.partition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(expiry).encode()):
            return False
        return expiry.isdecimal() and int(expiry) > self._clock()

    def _sign(self, expiry: str) -> str:
        return hmac.new(self._key, expiry.encode(), hashlib.sha256).hexdigest()


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(
        self, app: ASGIApp, *, sessions: Sessions | None, loopback: bool, secure: bool
    ) -> None:
        self._app = app
        self._sessions = sessions
        self._loopback = loopback
        self._secure = secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        policy = NICEGUI if path.startswith(("/config", "/_nicegui")) else STRICT

        async def send_guarded(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                _add_headers(MutableHeaders(scope=message), policy, path)
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            await _answer(refusal, scope, receive, send_guarded)
        elif path == "/login" and scope["type"] == "http":
            answer = await self._login(Request(scope, receive))
            await answer(scope, receive, send_guarded)
        else:
            scope.setdefault("state", {})["may_change"] = self._sessions is not None
            await self._app(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._loopback and not is_loopback(_name(host)):
            return PlainTextResponse("this server answers for this machine only\n", 421)
        origin = headers.get("origin")
        changes = scope["type"] == "websocket" or scope["method"] not in SAFE
        if changes and origin is not None and urlsplit(origin).netloc != host:
            return PlainTextResponse("not from another site\n", 403)
        if self._sessions is None or scope["path"] in OPEN_PATHS:
            return None
        session = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
        if self._sessions.valid(session):
            return None
        wants_page = scope["type"] == "http" and "text/html" in headers.get("accept", "")
        if wants_page and scope["method"] == "GET":
            return RedirectResponse("/login", 303)
        return PlainTextResponse("log in first\n", 401)

    async def _login(self, request: Request) -> Response:
        sessions = self._sessions
        if sessions is None:
            return RedirectResponse("/", 303)
        if request.method != "POST":
            return _login_page("")
        if sessions.closed:
            return _login_page("Too many tries. Wait a minute. · 尝试过多，请稍候。", 429)
        body = b""
        async for part in request.stream():
            body = (body + part)[:LOGIN_OCTETS]
        given = parse_qs(body.decode("utf-8", "replace")).get("token", [""])[0]
        session = sessions.login(given)
        if session is None:
            return _login_page("That is not the token. · 口令不正确。", 401)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(
            COOKIE, session, max_age=SESSION_S, httponly=True, samesite="strict",
            secure=self._secure, path="/",
        )  # fmt: skip
        return answer


async def _answer(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await WebSocket(scope, receive, send).send_denial_response(response)
    else:
        await response(scope, receive, send)


def _add_headers(headers: MutableHeaders, policy: str, path: str) -> None:
    headers["Content-Security-Policy"] = policy
    headers["X-Content-Type-Options"] = "nosniff"
    headers["X-Frame-Options"] = "DENY"
    headers["Referrer-Policy"] = "same-origin"  # with no-referrer, forms send Origin: null
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    headers["Permissions-Policy"] = "camera=(), microphone=(), geolocation=()"
    if not path.startswith(("/vendor/", "/_nicegui")):
        headers["Cache-Control"] = "no-store"


def _name(host: str) -> str:
    """The name in a Host header, without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _login_page(problem: str, status: int = 200) -> HTMLResponse:
    page = (Path(__file__).parent / "static" / "login.html").read_text(encoding="utf-8")
    return HTMLResponse(page.replace("PROBLEM", html.escape(problem)), status)
