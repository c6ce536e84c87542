"""Driver `rsu41`: RSU 4.1 immediate forward, the text in which US roadside units take messages.

One datagram per message, written by `rsu.schema.immediate_forward`. Sends only.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from rsu.config.radios import Rsu41RadioOptions
from rsu.hal.errors import DeviceError
from rsu.hal.radio.base import content_of
from rsu.hal.radio.datagram import DatagramSender
from rsu.schema.immediate_forward import ImmediateForward, format_immediate_forward
from rsu.schema.v2x import V2xFrame


class Rsu41Radio:
    """See `Radio`. Sends only."""

    receives = False

    def __init__(self, options: Rsu41RadioOptions, base: Path) -> None:  # noqa: ARG002  as every driver
        self.dropped: Counter[str] = Counter()
        self._options = options
        self._sender = DatagramSender(options.host, options.port)

    def open(self) -> None:
        self._sender.open()

    def send(self, frame: V2xFrame) -> None:
        options = self._options
        try:
            text = format_immediate_forward(
                ImmediateForward(
                    message_type=frame.message,
                    psid=frame.aid,
                    payload=content_of(frame, options.content),
                    priority=wsmp_priority(frame.priority),
                    tx_mode=options.tx_mode,
                    channel=options.channel,
                    signature=options.signature,
                    encryption=options.encryption,
                )
            )
        except ValueError as error:
            raise DeviceError(
                f"{frame.message} frame has no RSU 4.1 form: {error}",
                "correct the message's `aid` or use another driver",
            ) from error
        self._sender.send(text)

    def receive(self, timeout_s: float) -> bytes | None:  # noqa: ARG002  as every driver
        return None

    def close(self) -> None:
        self._sender.close()


def wsmp_priority(priority: int) -> int:
    """0..255 of the network layer (T/CSAE 159-2020) to the eight user priorities of WSMP, 7 the
    most urgent: the three highest bits, so that order is kept."""
    return min(max(priority, 0), 255) >> 5
