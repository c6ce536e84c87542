"""A subscription at an MQTT broker, for drivers of devices that publish there.

Options in, messages out. The owner's thread does all the work inside `open` and `receive`: there is
no thread of our own, and what waits is bounded. A lost connection is a `DeviceError`; whoever owns
the driver opens it again. MQTT 3.1.1, which every broker and gateway speaks: nothing of MQTT 5 is
needed to listen. The server's certificate and name are always checked where `tls` is set.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from rsu.config.devices import MqttOptions
from rsu.config.uplink import TlsOptions
from rsu.hal.device import MAX_FACTS, OPEN_S
from rsu.hal.errors import DeviceError

MAX_MESSAGE = 262_144
"""Longest message that is looked at, octets: a radar's list of 256 objects as verbose JSON is some
100 kB. Longer ones are counted as `oversize`."""
MAX_WAITING = 4 * MAX_FACTS
"""Messages that wait for `receive`; beyond it the oldest go (`flooded`)."""
LOOK_UP_S = 0.2
"""How often a waiting receiver looks whether it was closed and paho tends the link, s."""


@dataclass(frozen=True, slots=True)
class Published:
    """One message. `retained`: the broker kept it from before we came; its age is unknown."""

    topic: str
    payload: bytes
    retained: bool


class MqttSubscriber:
    """One connection with one topic filter. `dropped` counts `oversize` and `flooded`.

    One thread uses it; `close` may come from another, `receive` then ends with DeviceError.
    """

    def __init__(
        self, options: MqttOptions, base: Path, client_id: str, dropped: Counter[str]
    ) -> None:
        self._options = options
        self._base = base
        self._client_id = options.client_id or client_id
        self._dropped = dropped
        self._where = f"broker {options.host}:{options.port}"
        self._waiting: deque[Published] = deque()
        self._client: mqtt.Client | None = None
        self._subscribed = False
        self._refusal = ""

    def open(self) -> None:
        """Connect and subscribe, within `OPEN_S`; does nothing when open. Raises DeviceError."""
        if self._client is not None:
            return
        deadline_s = time.monotonic() + OPEN_S
        self._waiting.clear()
        self._subscribed, self._refusal = False, ""
        client: mqtt.Client | None = None
        try:
            client = self._made()
            client.connect(self._options.host, self._options.port, self._options.keepalive_s)
            while not self._subscribed and not self._refusal:
                left_s = deadline_s - time.monotonic()
                if left_s <= 0.0 or client.socket() is None:
                    break
                _turn(client, min(left_s, LOOK_UP_S))
        except (OSError, ValueError) as error:  # ValueError: paho on an unusable host or topic
            if client is not None:
                _drop(client)
            raise DeviceError(
                f"{self._where} cannot be reached: {error}",
                "start the broker, or correct host, port, tls and password_file",
            ) from error
        if not self._subscribed:
            _drop(client)
            raise DeviceError(
                f"{self._where} {self._refusal or 'does not answer'}",
                "check user name, password and access rights at the broker",
            )
        self._client = client

    def receive(self, timeout_s: float) -> Sequence[Published]:
        """Messages in order of arrival, at most `MAX_FACTS`; none when none came in time."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            client = self._client
            if client is None:
                raise DeviceError(f"{self._where} is not open", "open it first")
            if self._waiting:
                _turn(client, 0.0)  # acknowledgements and keep-alive must not wait for silence
                count = min(len(self._waiting), MAX_FACTS)
                return [self._waiting.popleft() for _ in range(count)]
            if client.socket() is None:
                raise DeviceError(f"{self._where}: the connection was lost", "open it again")
            left_s = max(0.0, deadline_s - time.monotonic())
            try:
                _turn(client, min(left_s, LOOK_UP_S))
            except (OSError, ValueError) as error:  # ValueError: closed by another thread
                raise DeviceError(f"{self._where} was lost: {error}", "open it again") from error
            if not self._waiting and left_s <= 0.0:
                return ()

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(OSError, ValueError):
                client.disconnect()
            _drop(client)

    def _made(self) -> mqtt.Client:
        options = self._options
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=self._client_id, protocol=mqtt.MQTTv311
        )
        client.connect_timeout = OPEN_S / 2
        if options.username is not None or options.password_file is not None:
            client.username_pw_set(options.username or "", self._password())
        if options.tls is not None:
            client.tls_set_context(_context(options.tls, self._base))
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        return client

    def _password(self) -> str | None:
        # Read at every attempt: a rotated file is taken, a missing one is an error, never "none".
        if self._options.password_file is None:
            return None
        return (self._base / self._options.password_file).read_text("utf-8").rstrip("\r\n")

    def _on_connect(
        self, client: mqtt.Client, _data: Any, _flags: Any, code: ReasonCode, _more: Any
    ) -> None:
        if code.is_failure:
            self._refusal = f"refused the connection: {code.getName()}"
        else:
            client.subscribe(self._options.topic, qos=self._options.qos)

    def _on_subscribe(
        self, _client: mqtt.Client, _data: Any, _mid: int, codes: list[ReasonCode], _more: Any
    ) -> None:
        if any(code.is_failure for code in codes):
            self._refusal = f"refused the subscription to {self._options.topic!r}"
        else:
            self._subscribed = True

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        if len(message.payload) > MAX_MESSAGE:
            self._dropped["oversize"] += 1
            return
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self._dropped["flooded"] += 1
        self._waiting.append(Published(message.topic, bytes(message.payload), message.retain))


def _turn(client: mqtt.Client, timeout_s: float) -> None:
    """Wait for something to do and do it."""
    sock: Any = client.socket()
    if sock is None:
        return
    if isinstance(sock, ssl.SSLSocket) and sock.pending():
        timeout_s = 0.0  # already decrypted: the kernel will not announce it again
        readable = True
    else:
        wanted = select.POLLIN | (select.POLLOUT if client.want_write() else 0)
        poll = select.poll()
        poll.register(sock, wanted)
        readable = any(found & ~select.POLLOUT for _, found in poll.poll(timeout_s * 1000))
    if readable:
        client.loop_read()
    if client.socket() is not None and client.want_write():
        client.loop_write()
    client.loop_misc()


def _drop(client: mqtt.Client) -> None:
    """Close the connection, whatever its state."""
    sock: Any = client.socket()
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.close()


class _BoundedContext(ssl.SSLContext):
    """Completes the handshake while wrapping, within a bound; a refused socket is closed."""

    def wrap_socket(self, sock: socket.socket, *args: object, **kwargs: object) -> ssl.SSLSocket:
        wrapped = super().wrap_socket(sock, *args, **kwargs)  # type: ignore[arg-type]
        try:
            wrapped.settimeout(OPEN_S / 2)
            wrapped.do_handshake()
        except BaseException:
            wrapped.close()
            raise
        return wrapped


def _context(options: TlsOptions, base: Path) -> ssl.SSLContext:
    context = _BoundedContext(ssl.PROTOCOL_TLS_CLIENT)  # checks chain and host name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if options.ca_file is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        context.load_verify_locations(base / options.ca_file)
    if options.cert_file is not None:
        key = None if options.key_file is None else base / options.key_file
        context.load_cert_chain(base / options.cert_file, key)
    return context
