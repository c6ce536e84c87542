"""A signal controller that speaks GB/T 20999-2017 over UDP: the socket around `gbt20999_dialogue`.

It asks `rate_hz` times a second and takes reports that come unasked. A question that stays without
an answer is asked anew in the next period; a controller that stays silent is late. Facts are
`SignalState`; commands set the demand of a stage.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from rsu.config.place import PlaceOptions
from rsu.config.signals import Gbt20999Options
from rsu.hal.device import MAX_FACTS
from rsu.hal.errors import DeviceError
from rsu.hal.radio.datagram import LOOK_UP_S, receive_stamped, stamp_arrivals
from rsu.hal.signal.gbt20999_dialogue import Dialogue
from rsu.schema.priority import SignalCommand
from rsu.schema.units import Instant


class Gbt20999Controller:
    """One controller that is asked. Its socket is connected: the kernel keeps others out."""

    def __init__(
        self,
        options: Gbt20999Options,
        base: Path,  # noqa: ARG002 - the options name no files
        clock: Callable[[], Instant],
        place: PlaceOptions,
    ) -> None:
        self._options = options
        self._where = f"{options.host}:{options.port}"
        self._clock = clock
        self._counts: Counter[str] = Counter()
        self.dropped = self._counts
        self._dialogue = Dialogue(options, place.intersection, self._counts)
        self._socket: socket.socket | None = None
        self._ask_at_s = 0.0

    def open(self) -> None:
        if self._socket is not None:
            return
        options = self._options
        opened: socket.socket | None = None
        try:
            found = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_DGRAM)
            family, kind, protocol, _, address = found[0]
            opened = socket.socket(family, kind, protocol)
            opened.setblocking(False)
            stamp_arrivals(opened)
            if options.local_port is not None:
                opened.bind(("", options.local_port))
            opened.connect(address)
        except (OSError, UnicodeError) as error:
            if opened is not None:
                opened.close()
            raise DeviceError(
                f"cannot reach signal controller {self._where}: {error}",
                "check `host`, `local_port` and this unit's network",
            ) from error
        self._dialogue.restart()
        self._ask_at_s = 0.0
        self._socket = opened

    def receive(self, timeout_s: float) -> Sequence[msgspec.Struct]:
        deadline_s = time.monotonic() + timeout_s
        facts: list[msgspec.Struct] = []
        while True:
            opened = self._socket
            if opened is None:
                raise DeviceError(f"signal controller {self._where} is not open", "open it first")
            try:
                came = self._exchange(opened, 0.0 if facts else deadline_s)
            except (OSError, ValueError) as error:  # ValueError: closed by another thread
                raise DeviceError(
                    f"signal controller {self._where} was lost: {error}",
                    "check the controller's power, cable, address and port",
                ) from error
            if came is not None:
                octets, _, waited_ns = came
                now = self._clock()
                arrival = Instant(now.utc_ns - waited_ns, now.mono_ns - waited_ns)
                heard = self._dialogue.hear(octets, arrival)
                if heard.state is not None:
                    facts.append(heard.state)
                if heard.answer is not None:
                    with contextlib.suppress(OSError):  # a loss shows at the next question
                        opened.send(heard.answer)
            if (
                (facts and came is None)
                or len(facts) >= MAX_FACTS
                or time.monotonic() >= deadline_s
            ):
                return facts

    def command(self, command: SignalCommand) -> bool:
        """Set or take back a stage's demand (`commands: soft_demand`)."""
        opened = self._socket
        if opened is None:
            raise DeviceError(f"signal controller {self._where} is not open", "open it first")
        octets = self._dialogue.command(command, self._clock())
        if octets is None:
            return False
        self._send(opened, octets)
        return True

    def close(self) -> None:
        opened, self._socket = self._socket, None
        if opened is not None:
            octets = self._dialogue.let_go()
            if octets is not None:
                with contextlib.suppress(OSError):  # it may be gone already
                    opened.send(octets)
            opened.close()

    def _exchange(self, opened: socket.socket, deadline_s: float) -> tuple[bytes, str, int] | None:
        """Ask if it is time to, then the next datagram or None."""
        now_s = time.monotonic()
        if now_s >= self._ask_at_s:
            self._ask_at_s = now_s + 1.0 / self._options.rate_hz
            for question in self._dialogue.questions(self._clock()):
                self._send(opened, question)
        wait_s = min(deadline_s, self._ask_at_s) - now_s
        if not select.select([opened], [], [], min(max(wait_s, 0.0), LOOK_UP_S))[0]:
            return None
        try:
            return receive_stamped(opened)
        except (BlockingIOError, InterruptedError):
            return None

    def _send(self, opened: socket.socket, octets: bytes) -> None:
        # What the full queue of a dead link does not take is asked again in the next period.
        with contextlib.suppress(BlockingIOError):
            opened.send(octets)
