"""Road users heard by radio: many senders, few scans.

In: `V2xObjects` as they come, one message of one sender each; out: scans of the one sensor `v2x`.
Hundreds of vehicles speak ten times a second each, and a step of the tracker costs the same for one
measurement as for fifty, so words are gathered for `GATHER_NS` and applied together. They ride on
the looks of other sensors: each state is carried along its stated motion to the newest look, so
that what is heard neither reopens the past nor makes a camera late.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from hashlib import blake2b

import msgspec
import numpy as np

from rsu.fusion.classes import CLASS_INDEX, Motion
from rsu.fusion.measurements import Scan, checked_scan
from rsu.fusion.readings import Readings, numbers, of_cov, of_size, unsuspecting, usable
from rsu.fusion.table import NEVER
from rsu.schema.sensing import V2xObject, V2xObjects
from rsu.schema.units import NS_PER_MS, NS_PER_S, Cov2, Vec2

GATHER_NS = 50 * NS_PER_MS  # ns: at most 20 scans a second for all who speak of themselves
NEIGHBOURS = 4  # units that see others, per gathering: each needs a scan of its own
CARRY_NS = 500 * NS_PER_MS  # ns: a state is carried no farther; beyond it says too little
WAITING = 1024  # messages that wait at most: 50 ms of 2000 vehicles
STANDING = 0.75  # share of the stated variance that stays for many messages (GNSS, calibration)
SELF_SCORE, SEEN_SCORE = 0.8, 0.5  # chance that a road user is where somebody unverified says
SPEED_STD = 1.0  # m/s: of a speed whose accuracy is not stated
HEADING_STD = math.radians(10.0)  # of a heading whose accuracy is not stated
LEAST_SPEED_STD = 0.2  # m/s: wheel slip and rounding, in any direction
STANDS = 0.5  # m/s: below it the direction does not matter
NO_SPEED_STD = 49.0  # m/s: next to no information, just within what measurements may be


class Heard:
    """Gathers messages and gives scans. Deterministic; all times by argument."""

    def __init__(self, motion: Motion) -> None:
        self._motion = motion
        self._waiting: dict[tuple[str, str], V2xObjects] = {}
        self._begun_ns: int | None = None  # monotonic
        self._given_ns: int | None = None
        self._number = 0

    def add(self, message: V2xObjects, mono_ns: int) -> str | None:
        """Take a message; a newer one of the same sender takes its place. Returns why not."""
        own = all(item.self_reported for item in message.objects)
        first = message.objects[0].object_id if message.objects else ""
        key = (message.sender, "" if own else f"{message.message} {message.capture_ns} {first}")
        if key not in self._waiting and len(self._waiting) >= WAITING:
            return "too_many_messages"
        self._waiting[key] = message
        if self._begun_ns is None:
            self._begun_ns = mono_ns
        return None

    def due(self, mono_ns: int) -> bool:
        """Whether to take scans now: the first word after a pause at once, then every 50 ms."""
        if self._begun_ns is None:
            return False
        return self._given_ns is None or mono_ns - self._given_ns >= GATHER_NS

    def take(self, newest_look_ns: int | None, mono_ns: int) -> list[tuple[Scan, dict[str, int]]]:
        """Scans of what waits, and refusals by reason of each.

        `newest_look_ns` is the table's time while other sensors look, else None.
        """
        own: list[V2xObject] = []
        neighbours: list[tuple[str, list[V2xObject]]] = []
        later: dict[tuple[str, str], V2xObjects] = {}
        for key, message in self._waiting.items():
            if not key[1]:
                own += message.objects
                continue
            sees = next((seen for sender, seen in neighbours if sender == message.sender), None)
            if sees is not None:
                sees += message.objects
            elif len(neighbours) < NEIGHBOURS:
                neighbours.append((message.sender, list(message.objects)))
            else:
                later[key] = message
        self._waiting = later
        self._begun_ns = mono_ns if later else None
        self._given_ns = mono_ns
        out = []
        for objects in (own, *(seen for _, seen in neighbours)):
            if objects:
                self._number += 1
                out.append(scan_from_v2x(objects, newest_look_ns, self._number, self._motion))
        return out


@unsuspecting
def scan_from_v2x(
    objects: Iterable[V2xObject], newest_look_ns: int | None, number: int, motion: Motion
) -> tuple[Scan, dict[str, int]]:
    """Objects that may all be different ones, as one scan, and refused objects by reason.

    The scan is of `newest_look_ns`, or of the newest object where that is None.
    """
    latest: dict[tuple[bool, str], V2xObject] = {}
    for item in objects:
        key = (item.self_reported, item.object_id)
        if key not in latest or latest[key].measured_ns <= item.measured_ns:
            latest[key] = item
    capture_ns = newest_look_ns
    if capture_ns is None:
        capture_ns = max((item.measured_ns for item in latest.values()), default=NEVER)
    in_time = [item for item in latest.values() if abs(capture_ns - item.measured_ns) <= CARRY_NS]
    rows = []
    for item in in_time:
        velocity, spread = _velocity(item)
        dt = (capture_ns - item.measured_ns) / NS_PER_S
        carried = _carried(item, velocity, spread, dt, motion)
        rows.append(
            (
                carried.position.x, carried.position.y, *of_cov(carried.position_cov),
                *(STANDING * item.self_reported * part for part in of_cov(item.position_cov)),
                _score(item), *of_size(item.size), velocity.x, velocity.y, *of_cov(spread),
            )
        )  # fmt: skip
    position, position_cov, constant_cov, score, size, velocities, spreads = numbers(
        rows, 2, 3, 3, 1, 3, 2, 3
    )
    readings = Readings(
        position, position_cov, constant_cov, score[:, 0], size, velocities, spreads
    )
    kept, refused = usable(readings)
    late = len(latest) - len(in_time)
    if late:
        refused["too_late"] = late
    scan = checked_scan(
        ("v2x", capture_ns, number), readings, kept, [item.object_class for item in in_time]
    )
    heard = replace(
        scan,
        surveys=False,
        hearsay=not all(item.self_reported for item in in_time),
        label=np.array([_label(item) for item in in_time], dtype=np.int64)[kept],
        evidence_ns=np.array(
            [min(item.measured_ns, capture_ns) for item in in_time], dtype=np.int64
        )[kept],
    )
    return heard, refused


def _velocity(item: V2xObject) -> tuple[Vec2, Cov2]:
    """Velocity over ground and its covariance; a spread that says nothing where none is stated."""
    speed = item.speed
    if speed is None or not math.isfinite(speed):
        return Vec2(0.0, 0.0), Cov2(NO_SPEED_STD**2, 0.0, NO_SPEED_STD**2)
    along = max(item.speed_std or SPEED_STD, LEAST_SPEED_STD)
    if item.heading is None:
        if speed < STANDS:
            spread = along**2 + STANDS**2
            return Vec2(0.0, 0.0), Cov2(spread, 0.0, spread)
        return Vec2(0.0, 0.0), Cov2(NO_SPEED_STD**2, 0.0, NO_SPEED_STD**2)
    across = math.hypot(speed * (item.heading_std or HEADING_STD), LEAST_SPEED_STD)
    cos, sin = math.cos(item.heading), math.sin(item.heading)
    lengthwise, sideways = along * along, across * across
    return Vec2(speed * cos, speed * sin), Cov2(
        lengthwise * cos * cos + sideways * sin * sin,
        (lengthwise - sideways) * cos * sin,
        lengthwise * sin * sin + sideways * cos * cos,
    )


def _carried(item: V2xObject, velocity: Vec2, spread: Cov2, dt: float, motion: Motion) -> V2xObject:
    """The object `dt` seconds (of either sign) on, with what is not known of its motion."""
    kind = CLASS_INDEX[item.object_class]
    if spread.xx >= NO_SPEED_STD**2:
        unknown = float(motion.first_speed_std[kind]) ** 2
        spread = Cov2(unknown, 0.0, unknown)
    swerve = float(motion.acceleration_psd[kind]) * abs(dt) ** 3 / 3.0
    cov, square = item.position_cov, dt * dt
    return msgspec.structs.replace(
        item,
        position=Vec2(item.position.x + dt * velocity.x, item.position.y + dt * velocity.y),
        position_cov=Cov2(
            cov.xx + square * spread.xx + swerve,
            cov.xy + square * spread.xy,
            cov.yy + square * spread.yy + swerve,
        ),
    )


def _score(item: V2xObject) -> float:
    if item.self_reported:
        return SELF_SCORE
    return SEEN_SCORE if item.existence is None else item.existence


def _label(item: V2xObject) -> int:
    """A number for who speaks of itself, above 0; 0 for what somebody else sees."""
    if not item.self_reported:
        return 0
    digest = blake2b(item.object_id.encode(), digest_size=7).digest()
    return int.from_bytes(digest, "big") + 1
