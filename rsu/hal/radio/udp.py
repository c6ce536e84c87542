"""Driver `udp`: one V2X frame per datagram, raw, both ways."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from rsu.config.radios import UdpRadioOptions
from rsu.hal.errors import DeviceError
from rsu.hal.radio.base import content_of
from rsu.hal.radio.datagram import DatagramReceiver, DatagramSender
from rsu.schema.v2x import V2xFrame


class UdpRadio:
    """See `Radio`. Receives only where `listen_port` is set."""

    def __init__(self, options: UdpRadioOptions, base: Path) -> None:  # noqa: ARG002  as every driver
        self.dropped: Counter[str] = Counter()
        self._content = options.content
        self._sender = DatagramSender(options.host, options.port)
        self._receiver = (
            None
            if options.listen_port is None
            else DatagramReceiver(options.listen_host, options.listen_port, self.dropped)
        )
        self.receives = self._receiver is not None

    def open(self) -> None:
        self._sender.open()
        if self._receiver is not None:
            try:
                self._receiver.open()
            except DeviceError:
                self._sender.close()
                raise

    def send(self, frame: V2xFrame) -> None:
        self._sender.send(content_of(frame, self._content))

    def receive(self, timeout_s: float) -> bytes | None:
        return None if self._receiver is None else self._receiver.receive(timeout_s)

    def close(self) -> None:
        self._sender.close()
        if self._receiver is not None:
            self._receiver.close()
