"""Who is let in, what a browser is told to refuse, and that nobody who reads slowly holds up
others."""

import json
import random
import socket
import time
import zlib
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from rsu.config.check import check_site
from rsu.config.web import WebOptions
from rsu.web.desk import Desk
from rsu.web.fan import MOST_CLIENTS
from rsu.web.guard import COOKIE, SESSION_S, TRIES, Sessions, TokenError, read_token
from rsu.web.server import DashboardServer
from tests.web.conftest import PLACE, SENSORS, TOKEN, Serve, Teller, track, until


def live(server: DashboardServer, **more: object) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{server.port}/live", compression=None, **more)


def refusal(server: DashboardServer, **more: object) -> int:
    """The status with which a WebSocket is refused."""
    with pytest.raises(InvalidStatus) as refused, live(server, **more):
        pass
    return refused.value.response.status_code


def get(server: DashboardServer, path: str, **more: object) -> httpx.Response:
    with httpx.Client(base_url=server.address, trust_env=False) as client:
        return client.get(path, **more)


def snapshot(connection: ClientConnection) -> dict:
    return json.loads(zlib.decompress(connection.recv(timeout=20)))


@pytest.fixture
def guarded(serve: Serve, token_file: Path) -> DashboardServer:
    return serve(WebOptions(token_file=token_file))


def test_the_page_and_its_parts_are_there(serve: Serve) -> None:
    server = serve()
    assert "text/html" in get(server, "/").headers["content-type"]
    for name in ("page.js", "map.js", "panels.js", "charts.js", "past.js", "texts.js", "page.css"):
        assert get(server, f"/assets/{name}").status_code == 200
    assert get(server, "/vendor/echarts/index.js").status_code == 200
    assert get(server, "/api/site").json()["place"]["title"] == "Test corner"
    assert get(server, "/api/past/range").json() is None
    assert get(server, "/api/message?name=RSM").status_code == 404
    assert get(server, "/assets/%2e%2e/server.py").status_code == 404
    assert get(server, "/server.py").status_code == 404


def test_nothing_inline_and_nothing_foreign_may_run(serve: Serve) -> None:
    answer = get(serve(), "/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert "server" not in answer.headers
    assert "<script>" not in answer.text
    assert "style=" not in answer.text


def test_a_snapshot_reaches_who_looks(serve: Serve, tell: Teller) -> None:
    server = serve()
    now = time.time_ns()
    server.desk.take([tell.tracks(now, track(7)), *tell.well(now)])
    with live(server) as page:
        until(lambda: server.fan.clients == 1)
        server.fan.offer(server.desk.snapshot())
        told = snapshot(page)
    assert [one["id"] for one in told["tracks"]["list"]] == [7]
    assert told["health"]["clock"] == "locked"
    assert told["behind_s"] < 5
    until(lambda: server.fan.clients == 0)


def test_a_run_that_lags_behind_the_clock_says_by_how_much(tell: Teller) -> None:
    desk = Desk(PLACE, SENSORS)
    then = time.time_ns() - 40_000_000_000
    desk.take([tell.tracks(then, track(7))])
    told = json.loads(zlib.decompress(desk.snapshot()))
    assert 40 <= told["behind_s"] < 45
    assert told["tracks"]["age_s"] < 5  # by the clock of the run


def test_a_slow_reader_gets_the_newest_and_holds_up_nobody(serve: Serve) -> None:
    server = serve()
    noise = random.Random(1).randbytes(40_000)
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # holds next to nothing itself
        slow.connect(("127.0.0.1", server.port))
        slow.sendall(
            b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        with live(server) as quick:
            until(lambda: server.fan.clients == 2)
            for number in range(100):
                server.fan.offer(b"%06d" % number + noise)
                got = quick.recv(timeout=20)
                assert got[:6] == b"%06d" % number
        # The slow one was sent what its buffers hold (some 200 kB); one more waits for it.
        assert server.fan.sent < 100 + 20
        slow.settimeout(20)
        taken = b""
        while b"000099" not in taken:
            taken = taken[-10:] + slow.recv(1 << 16)
        assert server.fan.skipped > 70


def test_more_pages_than_the_most_are_refused(serve: Serve) -> None:
    server = serve()
    assert server.fan.most == MOST_CLIENTS == 250
    server.fan.most = 3
    with ExitStack() as pages:
        for _ in range(3):
            pages.enter_context(live(server))
        until(lambda: server.fan.clients == 3)
        assert refusal(server) == 503
        assert server.fan.refused == 1
    until(lambda: server.fan.clients == 0)
    with live(server):
        until(lambda: server.fan.clients == 1)


def test_a_page_that_talks_is_cut_off(serve: Serve) -> None:
    server = serve()
    with live(server) as page:
        until(lambda: server.fan.clients == 1)
        page.send("hello")
        until(lambda: server.fan.clients == 0)


def test_foreign_pages_and_names_are_refused(serve: Serve) -> None:
    server = serve()
    assert refusal(server, origin="http://evil.example") == 403
    with live(server, origin=f"http://127.0.0.1:{server.port}"):
        until(lambda: server.fan.clients == 1)
    # A name that its owner lets resolve to 127.0.0.1 (DNS rebinding).
    assert get(server, "/api/site", headers={"Host": "evil.example"}).status_code == 421
    assert get(server, "/api/site", headers={"Host": "localhost:9"}).status_code == 200
    with httpx.Client(base_url=server.address, trust_env=False) as client:
        crossed = client.post("/api/past/incident?at_ms=0", headers={"Origin": "http://evil"})
        assert crossed.status_code == 403
        assert client.post("/api/past/incident?at_ms=0").status_code == 403  # read-only


def test_without_the_token_nothing_is_shown(guarded: DashboardServer) -> None:
    for path in ("/api/site", "/assets/page.js", "/config", "/api/past?at_ms=0", "/openapi.json"):
        assert get(guarded, path).status_code == 401
    page = get(guarded, "/", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["location"]) == (303, "/login")
    assert refusal(guarded) == 401
    assert get(guarded, "/healthz").text == "ok\n"


def log_in(server: DashboardServer, token: str) -> httpx.Response:
    body = urlencode({"token": token})
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    with httpx.Client(base_url=server.address, trust_env=False) as client:
        return client.post("/login", content=body, headers=headers)


def test_the_token_opens_the_page(guarded: DashboardServer) -> None:
    answer = log_in(guarded, TOKEN)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert TOKEN not in cookie
    session = {"Cookie": f"{COOKIE}={answer.cookies[COOKIE]}"}
    site = get(guarded, "/api/site", headers=session)
    assert site.json()["settings"]["may_change"]
    with live(guarded, additional_headers=session):
        until(lambda: guarded.fan.clients == 1)
    assert get(guarded, "/api/site", headers={"Cookie": f"{COOKIE}=1.2"}).status_code == 401


def test_wrong_tokens_are_refused_and_then_slowed_down(guarded: DashboardServer) -> None:
    assert [log_in(guarded, "wrong").status_code for _ in range(TRIES)] == [401] * TRIES
    assert log_in(guarded, TOKEN).status_code == 429


def test_sessions_end_and_cannot_be_made_up() -> None:
    now = [1_000_000.0]
    sessions = Sessions(TOKEN, clock=lambda: now[0])
    session = sessions.login(TOKEN)
    assert session is not None
    assert sessions.valid(session)
    assert Sessions(TOKEN, clock=lambda: now[0]).valid(session)  # after a restart of the unit
    assert not Sessions(TOKEN + "2", clock=lambda: now[0]).valid(session)
    expiry, signature = session.split(".")
    assert not sessions.valid(f"{int(expiry) + 1}.{signature}")
    assert not sessions.valid("")
    assert not sessions.valid(f"{expiry}.é")
    now[0] += SESSION_S + 1
    assert not sessions.valid(session)


def test_a_short_token_is_no_token(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("short\n", encoding="utf-8")
    with pytest.raises(TokenError, match="16"):
        read_token(path)
    with pytest.raises(TokenError):
        read_token(tmp_path / "none")


@pytest.mark.parametrize(
    ("web", "problem"),
    [
        ("{host: 0.0.0.0}", "set token_file"),
        ("{host: 192.168.1.5, token_file: token}", "set tls"),
        ("{token_file: token}", None),
        ("{token_file: short}", "login token has 16"),
        ("{token_file: nowhere}", "there is no file"),
        ("{host: 0.0.0.0, token_file: token, tls: {certificate: c, key: k}}", "there is no file"),
        ("{host: '::1'}", None),
        ("{port: 0}", "web.port"),
        ("{language: de}", "web.language"),
    ],
)
def test_the_site_file_is_refused_where_others_could_look(
    tmp_path: Path, token_file: Path, web: str, problem: str | None
) -> None:
    short = tmp_path / "short"
    short.write_text("short", encoding="utf-8")
    short.chmod(0o600)
    path = tmp_path / "site.yaml"
    origin = "{latitude: 31, longitude: 121}"
    path.write_text(f"site: {{id: here, origin: {origin}}}\nweb: {web}\n", encoding="utf-8")
    errors = [str(one) for one in check_site(path).errors]
    if problem is None:
        assert errors == []
    else:
        assert problem in " ".join(errors)
