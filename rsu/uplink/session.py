"""One MQTT 5 session to the broker: sends what the outbox holds and reports what was acknowledged.

One thread. It connects (back-off with jitter, 1–60 s), announces the unit (`<prefix>/status`,
retained, with a last will), and keeps at most `WINDOW` reports unacknowledged: QoS 1, the report's
id as user property, what is left of its time to live as message expiry. A report leaves the outbox
with its PUBACK; when the connection goes, what was under way goes back and is sent again with the
same id. Every connection uses a fresh paho client and a clean session, so that no packet of an old
connection can be mistaken for one of the new. paho does the protocol; sockets are polled here.
"""

from __future__ import annotations

import contextlib
import json
import math
import random
import select
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from rsu.config.uplink import UplinkOptions
from rsu.schema.reports import BINARY, topic_of
from rsu.uplink.live import LiveDrop, LiveQueue, LiveStats
from rsu.uplink.outbox import Outbox
from rsu.uplink.store import DropReason, Entry
from rsu.uplink.tls import failure_reason, make_context

WINDOW = 20
"""Unacknowledged publications; the default Receive Maximum of mosquitto."""
WINDOW_BYTES = 65_536
"""… and their size: at 64 kbit/s (fault row 12) an event waits 8 s at most behind telemetry."""
CONNECT_S = 5.0  # one TCP round trip is 2 s on the slowest planned link
MAX_INCOMING_BYTES = 65_536  # we ask for nothing but acknowledgements
UNSENT_BYTES = 16_384
"""What the kernel may hold unsent for us: more would be age that nobody sees (64 kbit/s: 2 s)."""
_TCP_NOTSENT_LOWAT = 25  # linux/tcp.h; Python 3.11 has no name for it
_OVERHEAD_BYTES = 256  # fixed header, properties: content type, expiry, length fields
_POLL_S = 1.0  # paho's keepalive bookkeeping wants to be called about this often

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits between attempts: random between `first_s` and three times the last, up to the top.

    The spread grows with each failure ("decorrelated jitter"), so that many units do not return
    in step after an outage (fault row 14).
    """

    first_s: float = 1.0
    longest_s: float = 60.0

    def after(self, last_s: float | None, dice: random.Random) -> float:
        """The next wait, s; `last_s` is None after a connection that held."""
        top = min(self.longest_s, 3.0 * (self.first_s if last_s is None else last_s))
        return dice.uniform(self.first_s, max(top, self.first_s))


class Session:
    """The thread that talks to the broker."""

    def __init__(
        self,
        options: UplinkOptions,
        site_id: str,
        base: Path,
        outbox: Outbox,
        *,
        backoff: Backoff | None = None,
    ) -> None:
        self._options = options
        self._base = base
        self._outbox = outbox
        self._backoff = backoff or Backoff()
        self._dice = random.Random()  # noqa: S311 - spreads reconnects, guards nothing
        self._site_id = site_id
        self._client_id = options.client_id or f"rsu-{site_id}"
        self._prefix = options.topic_prefix.replace("{site}", site_id)
        self._born_ns = time.time_ns()
        self._stopping = threading.Event()
        self._deadline: float | None = None
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="uplink-session", daemon=True)
        self._lock = threading.Lock()
        self._connected = False
        self._connections = 0
        self._failure: str | None = "not connected yet"
        self._live = LiveQueue()
        # Of the present connection, touched by the thread only:
        self._accepted_at = math.inf
        self._under_way: dict[int, Entry | None] = {}
        self._link: _Link | None = None

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us and the link has not been seen dead."""
        return self._connected

    @property
    def connections(self) -> int:
        """Connections that the broker accepted so far."""
        return self._connections

    @property
    def failure(self) -> str | None:
        """Reason code of the last failure while not connected, else None."""
        return self._failure

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """There is something to send: look now. From any thread, never blocks."""
        with self._lock, contextlib.suppress(OSError):  # a full or closed pair needs no more bytes
            self._wake_write.send(b"\0")

    def publish_live(self, topic: str, payload: bytes, max_age_s: float) -> bool:
        """Send a message now or never: QoS 0, never on disk. From any thread, never waits.

        `topic` is whole, the prefix is not put before it. False where it was dropped at once; what
        is dropped later (too old at its turn, connection gone, network full) is counted too.
        """
        accepted = self._live.put(topic, payload, max_age_s)
        if accepted:
            self.wake()
        return accepted

    def live_stats(self) -> LiveStats:
        """What became of the live messages."""
        return self._live.stats()

    def stop(self, timeout_s: float) -> bool:
        """Send what can be sent, say good-bye, end the thread; False when it did not end in time.

        Only an attempt to connect (at most CONNECT_S and the handshake) can outlast the timeout.
        """
        self._deadline = time.monotonic() + timeout_s
        self._stopping.set()
        self.wake()
        if self._thread.ident is not None:
            # The flush may use all of the time, the farewell a little more.
            self._thread.join(timeout_s + 0.5)
            if self._thread.is_alive():
                return False
        with self._lock:
            self._wake_read.close()
            self._wake_write.close()
        return True

    # The thread

    def _run(self) -> None:
        wait: float | None = None
        while not self._stopping.is_set():
            self._accepted_at = math.inf
            try:
                self._connect_and_serve()
            except (OSError, ValueError) as error:  # ValueError: paho on an unusable host or topic
                self._fail(failure_reason(error), str(error))
            finally:
                self._disconnected()
            held = time.monotonic() - self._accepted_at >= self._options.keepalive_s
            wait = self._backoff.after(None if held else wait, self._dice)
            self._stopping.wait(wait)
        self._failure = "stopped"

    def _connect_and_serve(self) -> None:
        link = _Link(self._client(), self._wake_read)
        self._link = link
        try:
            client = link.client
            client.on_connect = self._on_connect
            client.on_disconnect = self._on_disconnect
            client.on_publish = self._on_publish
            limits = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            limits.MaximumPacketSize = MAX_INCOMING_BYTES
            client.connect(
                self._options.host, self._options.port, self._options.keepalive_s,
                clean_start=True, properties=limits,
            )  # fmt: skip
            _bound_unsent(client)
            patience = time.monotonic() + self._options.keepalive_s
            while link.is_open():
                link.turn(_POLL_S)
                if link.accepted:
                    self._send_live(link)
                    self._send_reports(link)
                elif time.monotonic() > patience:
                    self._fail("no_answer", "the broker accepts connections but does not answer")
                    return
                if self._stopping.is_set() and self._farewell(link):
                    return
        finally:
            link.close()
            self._link = None

    def _client(self) -> mqtt.Client:
        options = self._options
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=self._client_id, protocol=mqtt.MQTTv5
        )
        client.connect_timeout = CONNECT_S
        client.max_inflight_messages = 0  # the window is ours
        if options.username is not None or options.password_file is not None:
            client.username_pw_set(options.username or "", self._password())
        if options.tls is not None:
            client.tls_set_context(make_context(options.tls, self._base))
        client.will_set(
            f"{self._prefix}/status", self._status("offline", "connection lost"), qos=1, retain=True
        )
        return client

    def _password(self) -> str | None:
        # Read at every attempt: a rotated file is taken, a missing one is an error, never "none".
        if self._options.password_file is None:
            return None
        return (self._base / self._options.password_file).read_text("utf-8").rstrip("\r\n")

    def _status(self, state: str, reason: str) -> bytes:
        """The retained document that says whether the unit is there."""
        document = {
            "schema": "rsu.status/1", "site": self._site_id, "state": state, "reason": reason,
            "boot_utc_ns": str(self._born_ns),
        }  # fmt: skip
        return json.dumps(document, separators=(",", ":")).encode()

    def _on_connect(
        self, client: mqtt.Client, _data: Any, _flags: Any, code: ReasonCode, answer: Any
    ) -> None:
        link = self._link
        if link is None:
            return
        if code.is_failure:
            self._fail(f"broker_{_snake(code.getName())}", "the broker refused the connection")
            return
        link.accepted = True
        link.window = min(WINDOW, int(getattr(answer, "ReceiveMaximum", WINDOW)))
        link.max_packet = int(getattr(answer, "MaximumPacketSize", 2**28))
        self._connected, self._failure = True, None
        self._connections += 1
        self._accepted_at = time.monotonic()
        self._live.open()
        _log.info("uplink connected", host=self._options.host, port=self._options.port)
        sent = client.publish(
            f"{self._prefix}/status", self._status("online", "started"), qos=1, retain=True
        )
        self._under_way[sent.mid] = None

    def _on_disconnect(
        self, _client: mqtt.Client, _data: Any, _flags: Any, code: ReasonCode, _more: Any
    ) -> None:
        if self._link is not None and self._link.accepted and not self._stopping.is_set():
            name = _snake(code.getName())  # paho says "unspecified" when the socket just ended
            self._fail(
                "connection_lost" if name == "unspecified_error" else name, "the connection ended"
            )

    def _on_publish(
        self, _client: mqtt.Client, _data: Any, mid: int, code: ReasonCode, _more: Any
    ) -> None:
        entry = self._under_way.pop(mid, None)
        if entry is None:
            return
        if code.is_failure:
            _log.warning("uplink report refused", subject=entry.subject, reason=code.getName())
            self._outbox.refuse(entry.seq)
        else:
            self._outbox.ack(entry.seq)

    def _send_live(self, link: _Link) -> None:
        """Send live messages for as long as the network takes them."""
        while link.is_open() and not link.client.want_write():
            message = self._live.take()
            if message is None:
                return
            if message.size + _OVERHEAD_BYTES > link.max_packet:
                self._live.unsent(LiveDrop.INVALID)
                continue
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.MessageExpiryInterval = max(1, math.ceil(message.max_age_s))
            link.client.publish(message.topic, message.payload, qos=0, properties=properties)
            if not link.is_open():
                self._live.unsent(LiveDrop.OFFLINE)

    def _send_reports(self, link: _Link) -> None:
        """Fill the window from the outbox."""
        while link.is_open():
            room = link.window - len(self._under_way)
            size = WINDOW_BYTES - sum(e.size for e in self._under_way.values() if e is not None)
            entries = self._outbox.take(room, size) if room > 0 and size > 0 else []
            if not entries:
                return
            for index, entry in enumerate(entries):
                topic = topic_of(entry.subject, self._prefix)
                if entry.size + len(topic) + _OVERHEAD_BYTES > link.max_packet:
                    self._outbox.discard(entry.seq, DropReason.OVERSIZE)
                    continue
                sent = link.client.publish(
                    topic, entry.body, qos=1, properties=self._properties(entry)
                )
                if not link.is_open():
                    self._outbox.release([e.seq for e in entries[index:]])
                    return
                self._under_way[sent.mid] = entry

    def _properties(self, entry: Entry) -> Properties:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.UserProperty = ("id", entry.id)
        properties.ContentType = entry.content_type
        properties.PayloadFormatIndicator = int(entry.content_type != BINARY)  # 1: UTF-8
        properties.MessageExpiryInterval = max(1, math.ceil(self._outbox.remaining_s(entry)))
        return properties

    def _farewell(self, link: _Link) -> bool:
        """While stopping: True when all is sent, or time is up, and the good-bye has gone out."""
        assert self._deadline is not None
        late = time.monotonic() > self._deadline
        if link.accepted and self._outbox.stats().queued and not late:
            link.hurry = True  # look again soon: the writer may still be committing
            return False
        if link.accepted:
            # QoS 0: the window may be full, and TCP keeps it ahead of the good-bye.
            link.client.publish(
                f"{self._prefix}/status", self._status("offline", "stopped"), qos=0, retain=True
            )
            until = time.monotonic() + 0.4  # within the margin of `stop`
            while link.is_open() and link.client.want_write() and time.monotonic() < until:
                link.turn(0.1)
            link.client.disconnect()
            while link.is_open() and time.monotonic() < until:
                link.turn(0.1)
        return True

    def _fail(self, reason: str, detail: str) -> None:
        # The reason first: who sees that the link is gone from another thread wants to know why.
        known, self._failure = self._failure, reason
        self._connected = False
        if known != reason:
            _log.warning(
                "uplink not connected", reason=reason, detail=detail,
                host=self._options.host, port=self._options.port,
            )  # fmt: skip

    def _disconnected(self) -> None:
        self._connected = False
        self._live.close()
        back = [entry.seq for entry in self._under_way.values() if entry is not None]
        self._under_way.clear()
        self._outbox.release(back)


class _Link:
    """One TCP connection of one paho client, polled together with the wake-up socket."""

    def __init__(self, client: mqtt.Client, wake: socket.socket) -> None:
        self.client = client
        self.accepted = False
        self.window = WINDOW
        self.max_packet = 2**28
        self.hurry = False
        self._wake = wake

    def is_open(self) -> bool:
        """Whether paho still holds a socket."""
        return self.client.socket() is not None

    def turn(self, timeout_s: float) -> None:
        """Wait for something to do and do it."""
        sock: Any = self.client.socket()
        if sock is None:
            return
        if isinstance(sock, ssl.SSLSocket) and sock.pending():
            timeout_s = 0.0  # already decrypted: the kernel will not announce it again
        elif self.hurry:
            timeout_s, self.hurry = 0.02, False
        poll = select.poll()
        poll.register(sock, select.POLLIN | (select.POLLOUT if self.client.want_write() else 0))
        poll.register(self._wake, select.POLLIN)
        events = dict(poll.poll(timeout_s * 1000))
        if self._wake.fileno() in events:
            with contextlib.suppress(BlockingIOError):
                self._wake.recv(4096)
        found = events.get(sock.fileno(), 0)
        if found & ~select.POLLOUT or timeout_s == 0.0:
            self.client.loop_read()
        if found & select.POLLOUT and self.is_open():
            self.client.loop_write()
        self.client.loop_misc()

    def close(self) -> None:
        """Drop the connection, whatever its state."""
        sock: Any = self.client.socket()
        if sock is not None:
            sock.close()


def _bound_unsent(client: mqtt.Client) -> None:
    """Let the kernel refuse early, so that what waits, waits where it can still be dropped."""
    sock: Any = client.socket()
    if sock is not None:
        with contextlib.suppress(OSError):  # older kernels queue more
            sock.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, UNSENT_BYTES)


def _snake(name: str) -> str:
    return "_".join("".join(c if c.isalnum() else " " for c in name.lower()).split())
