"""What a driver of a self-sending device is: radar, signal controller, bay sensor, GNSS, weather.

`Device` is the protocol that all of them fulfil and `tests/conformance/test_devices.py` checks. A
driver knows one device and nothing else; connecting again, health and counting are done once for
all of them in `rsu.hal.live_device`. What goes out are complete facts: structs of `rsu.schema`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import msgspec

from rsu.config.place import PlaceOptions
from rsu.hal.driver_table import driver_class
from rsu.schema.priority import SignalCommand
from rsu.schema.sensing import SensorKind
from rsu.schema.units import Instant

MAX_FACTS = 256
"""Most facts that one `receive` gives: what a driver still holds comes with the next one."""
OPEN_S = 2.0
"""Longest that `open` may take, s: a unit stops within 4 s, whatever it was doing."""


class Device(Protocol):
    """One opened or closed device. Made as `Driver(options, base, clock, place)`.

    `base` is the folder that relative paths in the options start from, `clock` reads UTC and
    monotonic time together, `place` is the site file's section `site` (its origin, its ids). One
    thread uses a device; only `close` may come from another.

    Attribute `dropped`: what came in and was thrown away since the device was made, by reason code
    (snake_case, listed in docs/hal.md); it may be read while nothing else runs.
    """

    dropped: Mapping[str, int]

    def open(self) -> None:
        """Open the device within `OPEN_S`; does nothing when it is open. Raises DeviceError.

        A driver whose peer answers later (a broker) may return before it has, and raise the
        DeviceError from `receive`.
        """

    def receive(self, timeout_s: float) -> Sequence[msgspec.Struct]:
        """Complete facts, oldest first, at most `MAX_FACTS`; none when none came in time.

        Waits at most `timeout_s` of real time, also under a flood of input that is no fact, and
        returns as soon as it has one. Garbage is a counted drop, never an exception. Raises
        DeviceError when the device is closed or lost.
        """

    def close(self) -> None:
        """Let the device go; does nothing when it is closed. Any thread may call it, even while
        another one is inside `receive`, which then ends soon."""


@runtime_checkable
class TakesCommands(Protocol):
    """A `Device` that also does what it is told: a signal controller's driver may be one."""

    def command(self, command: SignalCommand) -> bool:
        """Hand a wish to the device; whether it has gone out. False where this device, as it is
        set up or known by now, cannot be told that; nothing is repeated by itself, and the wish
        ends with its time. Raises DeviceError when the device is closed or lost."""


class DeviceClass(Protocol):
    """The constructor that every driver's class has."""

    def __call__(
        self, options: Any, base: Path, clock: Callable[[], Instant], place: PlaceOptions
    ) -> Device: ...


def make_device(
    kind: SensorKind,
    options: Any,
    base: Path,
    clock: Callable[[], Instant],
    place: PlaceOptions,
) -> Device:
    """A closed device; raises UnknownDriver.

    The drivers of a kind are listed in `rsu.hal.<kind>.drivers` (`DRIVERS`, `ENTRY_POINTS`);
    `options.driver` names the one.
    """
    table = import_module(f"rsu.hal.{kind.value}.drivers")
    found = driver_class(str(getattr(options, "driver", "")), table.DRIVERS, table.ENTRY_POINTS)
    return cast("DeviceClass", found)(options, base, clock, place)
