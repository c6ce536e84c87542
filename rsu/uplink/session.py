"""One MQTT 5 session to the broker: sends what the outbox holds and reports what was acknowledged.

One thread. It connects (back-off with jitter, 1–60 s), announces the unit (`<prefix>/birth` and
`<prefix>/status`, retained, with a last will), and keeps at most `WINDOW` reports unacknowledged:
QoS 1, the report's id as user property, what is left of its time to live as message expiry. A
report leaves the outbox with its PUBACK; when the connection goes, what was under way goes back and
is sent again with the same id. Live messages go first, then what is fresh; a backlog is drained at
`backlog_per_s` and fills half of the window at most. Commands that come are handed on unread.

Every connection uses a fresh paho client and a clean session, so that no packet of an old
connection can be mistaken for one of the new. paho does the protocol; sockets are polled here.
"""

from __future__ import annotations

import contextlib
import math
import random
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
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
from rsu.uplink.birth import Identity, birth_document, status_document
from rsu.uplink.connection import WINDOW, Link
from rsu.uplink.link import LinkMeter
from rsu.uplink.live import LiveDrop, LiveQueue, LiveStats
from rsu.uplink.outbox import Outbox
from rsu.uplink.pacing import Pacer
from rsu.uplink.store import DropReason, Entry
from rsu.uplink.tls import failure_reason, make_context

WINDOW_BYTES = 65_536
"""… and their size: at 64 kbit/s (fault row 12) an event waits 8 s at most behind telemetry."""
CONNECT_S = 5.0  # one TCP round trip is 2 s on the slowest planned link
MAX_INCOMING_BYTES = 73_728  # a command of 64 KiB with its topic and properties
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


@dataclass(frozen=True, slots=True)
class Incoming:
    """One message on the command topic, as it came."""

    payload: bytes
    response_topic: str | None = None
    correlation: bytes | None = None


@dataclass(frozen=True, slots=True)
class Commands:
    """How commands are taken: `hear` is called on the session's thread and must return at once;
    `about` is what the birth message says."""

    hear: Callable[[Incoming], None]
    about: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Sent:
    """A publication under way; `entry` is None where it is none of the outbox's."""

    entry: Entry | None
    at: float  # monotonic, s
    backlog: bool = False

    @property
    def size(self) -> int:
        return 0 if self.entry is None else self.entry.size


class Session:
    """The thread that talks to the broker."""

    def __init__(
        self,
        options: UplinkOptions,
        site_id: str,
        base: Path,
        outbox: Outbox,
        *,
        boot_ns: int | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self._options = options
        self._base = base
        self._outbox = outbox
        self._backoff = backoff or Backoff()
        self._dice = random.Random()  # noqa: S311 - spreads reconnects, guards nothing
        self.identity = Identity(site_id, time.time_ns() if boot_ns is None else boot_ns)
        self._client_id = options.client_id or f"rsu-{site_id}"
        self._prefix = options.topic_prefix.replace("{site}", site_id)
        self._commands: Commands | None = None
        self._profiles: list[Mapping[str, Any]] = []
        self._answers: deque[tuple[str, bytes, bytes | None]] = deque(maxlen=64)
        self._pacer = Pacer(options.backlog_per_s)
        self.meter = LinkMeter()
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
        self._under_way: dict[int, _Sent] = {}
        self._number = 0  # of the last report on this connection
        self._link: Link | None = None

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

    @property
    def prefix(self) -> str:
        """What the unit's own topics begin with."""
        return self._prefix

    def take_commands(self, commands: Commands) -> None:
        """Listen on `<prefix>/command` from the next connection on; to be called before `start`."""
        self._commands = commands

    def announce(self, profile: Mapping[str, Any]) -> None:
        """Add a line about a profile to the birth message; to be called before `start`."""
        self._profiles.append(profile)

    def answer(self, topic: str, payload: bytes, correlation: bytes | None) -> None:
        """Publish an answer to whoever asked for one (QoS 1, once, while connected)."""
        self._answers.append((topic, payload, correlation))
        self.wake()

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
        link = Link(self._client(), self._wake_read)
        self._link = link
        try:
            client = link.client
            client.on_connect = self._on_connect
            client.on_disconnect = self._on_disconnect
            client.on_publish = self._on_publish
            client.on_message = self._on_message
            client.on_subscribe = self._on_subscribe
            limits = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            limits.MaximumPacketSize = MAX_INCOMING_BYTES
            client.connect(
                self._options.host, self._options.port, self._options.keepalive_s,
                clean_start=True, properties=limits,
            )  # fmt: skip
            link.bound_unsent()
            patience = time.monotonic() + self._options.keepalive_s
            while link.is_open():
                link.turn(_POLL_S)
                if link.accepted:
                    self._send_live(link)
                    self._send_answers(link)
                    self._send_reports(link)
                    self.meter.look(link.client.socket())
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
        # The will is of the connection that it ends: the one that is being made.
        will = status_document(self.identity, self._connections + 1, "offline", "connection lost")
        client.will_set(f"{self._prefix}/status", will, qos=1, retain=True)
        return client

    def _password(self) -> str | None:
        # Read at every attempt: a rotated file is taken, a missing one is an error, never "none".
        if self._options.password_file is None:
            return None
        return (self._base / self._options.password_file).read_text("utf-8").rstrip("\r\n")

    def _status(self, state: str, reason: str) -> bytes:
        return status_document(self.identity, max(self._connections, 1), state, reason)

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
        self._number = 0
        self._live.open()
        self.meter.connected()
        _log.info("uplink connected", host=self._options.host, port=self._options.port)
        if self._commands is not None:
            client.subscribe(f"{self._prefix}/command", qos=1)
        birth = birth_document(
            self._options, self.identity, self._connections, self._prefix,
            profiles=self._profiles,
            commands=None if self._commands is None else self._commands.about,
        )  # fmt: skip
        # Of the online status whoever waits for the unit reads; by then its birth is there.
        for subject, document in (("birth", birth), ("status", self._status("online", "started"))):
            sent = client.publish(f"{self._prefix}/{subject}", document, qos=1, retain=True)
            self._under_way[sent.mid] = _Sent(None, time.monotonic())

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
        sent = self._under_way.pop(mid, None)
        if sent is None:
            return
        self.meter.acknowledged(time.monotonic() - sent.at)
        entry = sent.entry
        if entry is None:
            return
        if code.is_failure:
            _log.warning("uplink report refused", subject=entry.subject, reason=code.getName())
            self._outbox.refuse(entry.seq)
        else:
            self._outbox.ack(entry.seq)

    def _on_subscribe(
        self, _client: mqtt.Client, _data: Any, _mid: int, codes: list[ReasonCode], _more: Any
    ) -> None:
        for code in codes:
            if code.is_failure:
                _log.error("uplink commands are not heard", reason=code.getName())

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        if self._commands is None or message.retain:
            return  # a retained command is nobody's word of now
        asked = message.properties
        self._commands.hear(
            Incoming(
                bytes(message.payload),
                getattr(asked, "ResponseTopic", None),
                getattr(asked, "CorrelationData", None),
            )
        )

    def _send_answers(self, link: Link) -> None:
        while self._answers and link.is_open() and len(self._under_way) < link.window:
            topic, payload, correlation = self._answers.popleft()
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.ContentType = "application/json"
            if correlation is not None:
                properties.CorrelationData = correlation
            if len(payload) + len(topic) + _OVERHEAD_BYTES <= link.max_packet:
                sent = link.client.publish(topic, payload, qos=1, properties=properties)
                self._under_way[sent.mid] = _Sent(None, time.monotonic())

    def _send_live(self, link: Link) -> None:
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

    def _send_reports(self, link: Link) -> None:
        """Fill the window from the outbox."""
        while link.is_open():
            room = link.window - len(self._under_way)
            size = WINDOW_BYTES - sum(sent.size for sent in self._under_way.values())
            if room <= 0 or size <= 0:
                return
            entries = self._outbox.take(room, size, self._backlog_room(link))
            if not entries:
                if self._outbox.backlog_waits():
                    link.look_within(self._pacer.wait_s())
                return
            for index, entry in enumerate(entries):
                topic = topic_of(entry.subject, self._prefix)
                if entry.size + len(topic) + _OVERHEAD_BYTES > link.max_packet:
                    self._outbox.discard(entry.seq, DropReason.OVERSIZE)
                    continue
                backlog = not self._outbox.is_fresh(entry)
                self._pacer.spend(backlog)
                self._number += 1
                sent = link.client.publish(
                    topic, entry.body, qos=1, properties=self._properties(entry)
                )
                if not link.is_open():
                    self._outbox.release([e.seq for e in entries[index:]])
                    return
                self._under_way[sent.mid] = _Sent(entry, time.monotonic(), backlog)

    def _backlog_room(self, link: Link) -> int:
        """How many reports of the backlog may be taken now."""
        old = [sent for sent in self._under_way.values() if sent.backlog]
        if sum(sent.size for sent in old) >= WINDOW_BYTES // 2:
            return 0
        return min(max(link.window // 2, 1) - len(old), self._pacer.allowance())

    def _properties(self, entry: Entry) -> Properties:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.UserProperty = ("id", entry.id)
        properties.UserProperty = ("seq", str(self._number))
        properties.ContentType = entry.content_type
        properties.PayloadFormatIndicator = int(entry.content_type != BINARY)  # 1: UTF-8
        properties.MessageExpiryInterval = max(1, math.ceil(self._outbox.remaining_s(entry)))
        return properties

    def _farewell(self, link: Link) -> bool:
        """While stopping: True when all is sent, or time is up, and the good-bye has gone out."""
        assert self._deadline is not None
        late = time.monotonic() > self._deadline
        if link.accepted and self._outbox.stats().queued and not late:
            link.look_within(0.02)  # the writer may still be committing
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
        self.meter.disconnected()
        back = [sent.entry.seq for sent in self._under_way.values() if sent.entry is not None]
        self._under_way.clear()
        self._outbox.release(back)


def _snake(name: str) -> str:
    return "_".join("".join(c if c.isalnum() else " " for c in name.lower()).split())
