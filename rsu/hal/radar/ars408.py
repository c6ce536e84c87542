"""A radar of the ARS408 family on a CAN bus: the shell around `ars408_lists`.

Owns the bus (python-can opens it: socketcan, adapters, `virtual` in process, `udp_multicast`
between processes), filters the radar's ids, and says when each list arrived. python-can and
cantools are imported with this module, so only where such a radar is configured.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import can
import msgspec

from rsu.config.place import PlaceOptions
from rsu.config.radars import Ars408Options, CanBusOptions
from rsu.hal.device import MAX_FACTS
from rsu.hal.errors import DeviceError
from rsu.hal.radar.ars408_lists import Ars408Lists, read_database
from rsu.schema.units import NS_PER_S, Instant

LOOK_UP_S = 0.2
"""How often a waiting receiver looks whether it was closed, s."""
LONGEST_WAIT_S = 10.0
"""A bus time stamp older than this is no UTC: some adapters count from their own start."""


class Ars408Radar:
    """One radar; facts are `RadarObjects`."""

    def __init__(
        self,
        options: Ars408Options,
        base: Path,
        clock: Callable[[], Instant],
        place: PlaceOptions,  # noqa: ARG002 - all its coordinates are relative to the mounting
    ) -> None:
        self._options = options
        self._base = base
        self._clock = clock
        self._counts: Counter[str] = Counter()
        self.dropped = self._counts
        self._lists: Ars408Lists | None = None
        self._bus: can.BusABC | None = None
        self._where = f"radar {options.id} on {options.bus.interface} {options.bus.channel}"

    def open(self) -> None:
        if self._bus is not None:
            return
        if self._lists is None:
            path = self._options.database
            database = read_database(None if path is None else self._base / path)
            self._lists = Ars408Lists(self._options, database, self._counts)
        self._lists.forget()
        self._bus = open_bus(self._options.bus, self._lists.ids, self._where)

    def receive(self, timeout_s: float) -> Sequence[msgspec.Struct]:
        deadline_s = time.monotonic() + timeout_s
        facts: list[msgspec.Struct] = []
        while True:
            bus, lists = self._bus, self._lists
            if bus is None or lists is None:
                raise DeviceError(f"{self._where} is not open", "open it first")
            # Once something is there, take what else waits, but wait for nothing more.
            left_s = 0.0 if facts else deadline_s - time.monotonic()
            try:
                frame = bus.recv(max(0.0, min(left_s, LOOK_UP_S)))
            except (can.CanError, OSError, ValueError) as error:
                if self._bus is None:
                    raise DeviceError(f"{self._where} is not open", "open it first") from error
                raise DeviceError(
                    f"{self._where} was lost: {error}", "check the adapter and the bus's state"
                ) from error
            if frame is not None:
                found = self._taken(lists, frame)
                if found is not None:
                    facts.append(found)
            done = time.monotonic() >= deadline_s
            if len(facts) >= MAX_FACTS or (frame is None and facts) or done:
                return facts

    def close(self) -> None:
        bus, self._bus = self._bus, None
        if bus is not None:
            bus.shutdown()

    def _taken(self, lists: Ars408Lists, frame: can.Message) -> msgspec.Struct | None:
        if frame.is_error_frame or frame.is_remote_frame or frame.is_extended_id:
            self._counts["not_a_data_frame"] += 1
            return None
        return lists.frame(frame.arbitration_id, bytes(frame.data), self._arrival_ns(frame))

    def _arrival_ns(self, frame: can.Message) -> int:
        now_ns = self._clock().utc_ns
        if self._options.stamps == "bus" and math.isfinite(frame.timestamp):
            waited_s = time.time() - frame.timestamp
            if 0.0 < waited_s < LONGEST_WAIT_S:
                return now_ns - round(waited_s * NS_PER_S)
        return now_ns


def open_bus(options: CanBusOptions, ids: Sequence[int], where: str) -> can.BusABC:
    """An open bus that hands over these standard ids only (all where `ids` is empty)."""
    arguments: dict[str, Any] = dict(options.extra)
    if options.bitrate is not None and options.interface not in {"socketcan", "virtual"}:
        arguments.setdefault("bitrate", options.bitrate)
    if ids:
        arguments["can_filters"] = [
            {"can_id": can_id, "can_mask": 0x7FF, "extended": False} for can_id in ids
        ]
    try:
        return can.Bus(options.channel, options.interface, **arguments)
    except Exception as error:  # adapters' libraries raise many kinds, ImportError among them
        raise DeviceError(
            f"{where} cannot be opened: {error}",
            "bring the interface up (`ip link set can0 up type can bitrate 500000`) or correct "
            "`bus`",
        ) from error
