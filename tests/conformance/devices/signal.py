"""What plays the signal controllers: emulators of the wire, and the clock where there is none."""

from __future__ import annotations

import socket
from typing import Any

from rsu.config.signals import FixedPlanOptions, Gbt20999Options, TscbmOptions
from rsu.schema.signals import LightState, SignalGroup, SignalState
from rsu.schema.units import NS_PER_S
from rsu.sim.emulators.gbt20999 import Gbt20999Server
from rsu.sim.emulators.tscbm import TscbmEmulator, write_tscbm

HOUR_NS = 3600 * NS_PER_S


def state(bench: Any, number: int) -> SignalState:
    capture_ns = bench.measured_ns(number)
    light = LightState.RED if number // 50 % 2 else LightState.PERMISSIVE_GREEN
    return SignalState(
        controller="c", intersection=7, capture_ns=capture_ns,
        groups=tuple(
            SignalGroup(group=n, light=light, min_end_ns=capture_ns + NS_PER_S) for n in (1, 2, 3)
        ),
    )  # fmt: skip


class TscbmPeer:
    """Datagrams need no connection; repeats show by their counter."""

    stamped = True
    loses = False

    def __init__(self, bench: Any) -> None:
        self._bench = bench
        self._emulator = TscbmEmulator("127.0.0.1", bench.port)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def options(self) -> TscbmOptions:
        return TscbmOptions(
            id="c", driver="tscbm", listen_host="127.0.0.1", listen_port=self._bench.port,
            sender="127.0.0.1",
        )  # fmt: skip

    def broken(self) -> TscbmOptions:
        return self.options().model_copy(update={"listen_host": "203.0.113.1"})

    def start(self) -> None:
        self._emulator.open()

    def say(self, number: int) -> None:
        self._emulator.send(state(self._bench, number))

    def babble(self) -> None:
        good = write_tscbm(state(self._bench, 0), 0)
        for octets in (
            b"", b"\xcd", b"\xcd\x10", good[:-1], good + b"\x00", good + bytes(400), good[:2] * 120,
            b"\xcd\x08" + good[2:], b"\xcc" + good[1:], good[:15] + b"\x01" + good[16:],
            good[:2] + b"\x11" + good[3:], good[:234] + b"\xf8" + good[235:],
            good[:236] + b"\xff\xff\xff" + good[239:], good[:239] + b"\xff\xff", bytes(241),
        ):  # fmt: skip
            self._socket.sendto(octets, ("127.0.0.1", self._bench.port))

    def vanish(self) -> None:
        self._emulator.close()

    def close(self) -> None:
        self._emulator.close()
        self._socket.close()


class Gbt20999Peer:
    """Leaves questions unanswered and reports what it is told to; a closed port refuses them."""

    stamped = True
    loses = True

    def __init__(self, bench: Any) -> None:
        self._bench = bench
        self._server = Gbt20999Server(lambda: None, (), port=bench.port)

    def options(self) -> Gbt20999Options:
        return Gbt20999Options(
            id="c", driver="gbt20999", host="127.0.0.1", port=self._bench.port,
            groups=[{"group": n, "lamp": n} for n in (1, 2, 3)], rate_hz=20.0,
        )  # fmt: skip

    def broken(self) -> Gbt20999Options:
        return self.options().model_copy(update={"host": "no.such.host.invalid"})

    def start(self) -> None:
        self._server.open()

    def say(self, number: int) -> None:
        self._server.report(state(self._bench, number), number)

    def babble(self) -> None:
        good = self._server._frame(0x60, 7, self._server._lamps(state(self._bench, 0)))
        for octets in (
            b"", b"\x7e", b"\x7e\x7d", good[:-1], good[1:], good[:20], good[20:], good + b"\x7d",
            b"\x7e" + bytes(200) + b"\x7d", good[:9] + b"\xff" + good[10:], good * 2, b"\xff" * 900,
            self._server._frame(0x20, 200, ()), self._server._frame(0x60, 7, self._one_lamp()),
        ):  # fmt: skip
            self._server.send(octets)

    def _one_lamp(self) -> Any:
        return self._server._lamps(state(self._bench, 0))[:1]

    def vanish(self) -> None:
        self._server.close()

    def close(self) -> None:
        self._server.close()


class FixedPlanPeer:
    """The clock is the device: it is put back for nonsense, and for silence the table's hour has
    come from which on nothing is known."""

    stamped = False
    loses = False

    def __init__(self, bench: Any) -> None:
        self._bench = bench

    def options(self) -> FixedPlanOptions:
        lights = [
            {"light": light, "seconds": seconds}
            for light, seconds in (("permissive-green", 20.0), ("yellow", 3.0), ("red", 37.0))
        ]
        return FixedPlanOptions(
            id="c", driver="fixed_plan", transition_s=0.0,
            plans=[{"name": "p", "cycle_s": 60.0, "groups": [{"group": 1, "lights": lights}]}],
            table=[{"plan": "p", "at": "00:00"}, {"plan": None, "at": "12:00"}],
        )  # fmt: skip

    def broken(self) -> None:
        return None

    def start(self) -> None:
        """A clock always runs."""

    def say(self, number: int) -> None:
        self._bench.now_ns = max(self._bench.now_ns, self._bench.measured_ns(number))

    def babble(self) -> None:
        self._bench.now_ns -= NS_PER_S

    def vanish(self) -> None:
        self._bench.now_ns += 12 * HOUR_NS

    def close(self) -> None:
        """Nothing is held."""


ROWS = {
    "signal/tscbm": TscbmPeer,
    "signal/gbt20999": Gbt20999Peer,
    "signal/fixed_plan": FixedPlanPeer,
}
