"""A self-sending device of a running unit: opened again when lost, its health known, never a raise.

A `Device` goes in with the options that all devices share; facts (`take`) and `SensorHealth`
come out. There is no thread and no hidden clock: the owner calls `take` again and again, and all
states follow from what came and from the injected clock, so that tests decide the time. Counters
balance: received = facts handed out + Σ dropped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from rsu.config.devices import DeviceOptions
from rsu.config.place import PlaceOptions
from rsu.hal.device import MAX_FACTS, Device, TakesCommands, make_device
from rsu.hal.errors import DeviceError
from rsu.schema.health import SensorHealth, SensorState
from rsu.schema.priority import SignalCommand
from rsu.schema.sensing import SensorKind
from rsu.schema.units import NS_PER_S, Instant

FLOODED = "flooded"


class LiveDevice:
    """One device of one kind. `take` in a loop from one thread, `close` once.

    `wait(seconds)` replaces sleeping in tests. Trouble shows in `health`, never as an exception.
    """

    def __init__(
        self,
        kind: SensorKind,
        options: DeviceOptions,
        device: Device,
        clock: Callable[[], Instant],
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self._kind = kind
        self._options = options
        self._device = device
        self._clock = clock
        self._wait = wait
        now = clock()
        self._state, self._detail, self._since_ns = SensorState.STARTING, "", now.utc_ns
        self._opened = False
        self._ever_opened = False
        self._pause_s = options.reconnect.first_s
        self._retry_ns = now.mono_ns
        self._news_ns = now.mono_ns  # of the last fact, or of the opening
        self._facts = 0
        self._flooded = 0
        self._reconnects = 0

    def take(self, timeout_s: float) -> Sequence[msgspec.Struct]:
        """The next facts, oldest first, none when none came within `timeout_s`."""
        if not self._opened and not self._open(timeout_s):
            return ()
        try:
            facts = self._device.receive(timeout_s)
        except DeviceError as error:
            self._lose(str(error))
            return ()
        except Exception as error:
            # A driver that breaks its contract must not end the process that it lives in.
            self._lose(f"driver failed: {type(error).__name__}: {error}")
            return ()
        if len(facts) > MAX_FACTS:
            self._flooded += len(facts) - MAX_FACTS
            facts = facts[-MAX_FACTS:]
        if facts:
            self._facts += len(facts)
            self._news_ns = self._clock().mono_ns
            self._pause_s = self._options.reconnect.first_s
            self._become(SensorState.LIVE, "")
        return facts

    def command(self, command: SignalCommand) -> str:
        """Hand on a wish. What became of it: `taken`, `cannot` (this driver or this device takes
        none), `closed` (the device is not there, or was lost over it)."""
        if not isinstance(self._device, TakesCommands):
            return "cannot"
        if not self._opened:
            return "closed"
        try:
            return "taken" if self._device.command(command) else "cannot"
        except DeviceError as error:
            self._lose(str(error))
        except Exception as error:
            self._lose(f"driver failed: {type(error).__name__}: {error}")
        return "closed"

    def health(self, now: Instant) -> SensorHealth:
        """State and counters at `now`."""
        silent_s = (now.mono_ns - self._news_ns) / NS_PER_S
        if self._opened and silent_s > self._options.late_s:
            self._become(SensorState.LATE, f"nothing usable for {self._options.late_s:g} s")
        dropped = {reason: count for reason, count in self._device.dropped.items() if count}
        if self._flooded:
            dropped[FLOODED] = dropped.get(FLOODED, 0) + self._flooded
        return SensorHealth(
            sensor=self._options.id,
            kind=self._kind,
            state=self._state,
            since_ns=self._since_ns,
            time_ns=now.utc_ns,
            detail=self._detail,
            received=self._facts + sum(dropped.values()),
            dropped=dict(sorted(dropped.items())),
            reconnects=self._reconnects,
        )

    def close(self) -> None:
        """Let the device go."""
        self._opened = False
        self._device.close()

    def _open(self, timeout_s: float) -> bool:
        pause_s = (self._retry_ns - self._clock().mono_ns) / NS_PER_S
        if pause_s > 0.0:
            self._wait(min(pause_s, timeout_s))
            if self._clock().mono_ns < self._retry_ns:
                return False
        try:
            self._device.open()
        except DeviceError as error:
            self._lose(str(error))
            return False
        except Exception as error:
            self._lose(f"driver failed: {type(error).__name__}: {error}")
            return False
        self._opened = True
        self._reconnects += self._ever_opened
        self._ever_opened = True
        self._news_ns = self._clock().mono_ns
        self._become(SensorState.STARTING, "")
        return True

    def _lose(self, detail: str) -> None:
        self._opened = False
        try:
            self._device.close()
        except Exception as error:  # a device that is lost anyway
            detail = f"{detail} (and closing failed: {error})"
        self._retry_ns = self._clock().mono_ns + round(self._pause_s * NS_PER_S)
        self._pause_s = min(2.0 * self._pause_s, self._options.reconnect.longest_s)
        self._become(SensorState.GONE, detail)

    def _become(self, state: SensorState, detail: str) -> None:
        if state is not self._state:
            self._since_ns = self._clock().utc_ns
        self._state, self._detail = state, detail


def live_device(
    kind: SensorKind,
    options: DeviceOptions,
    base: Path,
    clock: Callable[[], Instant],
    place: PlaceOptions,
) -> LiveDevice:
    """The device that a site file's section describes; raises UnknownDriver."""
    return LiveDevice(kind, options, make_device(kind, options, base, clock, place), clock)
