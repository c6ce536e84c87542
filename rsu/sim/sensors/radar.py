"""Modelled radar: what a 77 GHz radar of the ARS408 kind would report of a scene, before the wire.

A `Scene` goes in, a `RadarCycle` in the radar's own frame (x along its axis, y left) and numbers
comes out: near and far cone, polar noise that agrees with the quality it states, occlusion, objects
that need time to be believed, slow ones that fade into the ground clutter, ghosts by reflection
behind large vehicles. `rsu.sim.emulators.can_radar` puts it on a bus; the driver reads it there.
"""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass, field

import numpy as np

from rsu.config.radars import ANGLE_RMS, LINEAR_RMS, Ars408Options
from rsu.schema.sensing import ObjectClass
from rsu.schema.units import Vec2
from rsu.sim.world.scene import Scene
from rsu.site.geodesy import enu_heading, wrap_angle

# Cones, noise: public data sheet of the ARS408 family (near ±60° to 70 m, far ±9° to 250 m; range
# 0.4 m far, 0.1 m near; azimuth 0.1° far, 0.3°..1° near; speed 0.1 km/h), coarsened to whole
# objects: a car's scattering centre wanders by some decimetres (assumed).
NEAR_RANGE, NEAR_ANGLE = 70.0, math.radians(60.0)
FAR_RANGE, FAR_ANGLE = 250.0, math.radians(9.0)
NEAREST = 0.2
RANGE_STD = 0.25
AZIMUTH_STD, AZIMUTH_STD_FAR = math.radians(0.5), math.radians(0.2)
RADIAL_SPEED_STD = 0.1
TANGENTIAL_SPEED_STD = 0.6
"""m/s; across the line of sight a speed comes from tracking azimuths only (assumed)."""
SLOW = 0.5
"""m/s; below this radial speed an object is not told from the ground by Doppler (two cells of
0.1 m/s and the clutter's own spread; assumed)."""
FOUND, FOUND_SLOW = 0.97, 0.55
"""Chance per cycle of an object in the open, moving and slow (assumed)."""
HIDDEN = 0.15
"""Share of that chance for what stands wholly behind something: radar reaches under vehicles."""
GHOST_CHANCE = 0.01
"""Per cycle and large vehicle: a second path between it and the radar (assumed)."""
LARGE = 6.0
"""m of length from which a vehicle makes ghosts."""
GHOST_CYCLES = 4
FORGET_CYCLES = 5
"""Cycles that a lost object's number stays reserved for it: some 0.35 s."""
NUMBERS = 100
_RCS = {
    ObjectClass.PEDESTRIAN: -8.0, ObjectClass.BICYCLE: -4.0, ObjectClass.MOTORCYCLE: 2.0,
    ObjectClass.CAR: 10.0, ObjectClass.VAN: 13.0, ObjectClass.TRUCK: 20.0, ObjectClass.BUS: 20.0,
}  # fmt: skip
"""Mean radar cross-section, dBm² (orders of magnitude of 77 GHz surveys)."""
_KINDS = {
    ObjectClass.CAR: 1, ObjectClass.VAN: 1, ObjectClass.TRUCK: 2, ObjectClass.BUS: 2,
    ObjectClass.MOTORCYCLE: 4, ObjectClass.BICYCLE: 5,
}  # fmt: skip
_MOVING, _STATIONARY, _ONCOMING, _CROSSING, _STOPPED = 0, 1, 2, 6, 7
_NEW, _MEASURED, _PREDICTED = 1, 2, 3


@dataclass(frozen=True, slots=True)
class RadarReading:
    """One object as the radar holds it: m and m/s in its frame, quality as table indices."""

    number: int
    forward: float
    left: float
    speed_forward: float
    speed_left: float
    dynamic: int = _MOVING
    rcs: float = 0.0
    forward_rms: int = 31
    left_rms: int = 31
    speed_forward_rms: int = 31
    speed_left_rms: int = 31
    orientation_rms: int = 31
    state: int = _MEASURED
    existence: int = 5
    kind: int = 0
    orientation: float = 0.0
    length: float = 0.0
    width: float = 0.0


@dataclass(frozen=True, slots=True)
class RadarCycle:
    """One measuring cycle. `truth` maps object numbers to ids of the scene (a ghost has none)."""

    counter: int
    time_ns: int
    objects: tuple[RadarReading, ...]
    truth: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Life:
    number: int
    seen: int = 0
    missed: int = 0
    moved: bool = False


class ModelledRadar:
    """One radar. Holds its random stream, how it really hangs, and the lives of its objects."""

    def __init__(self, options: Ars408Options, rng: np.random.Generator) -> None:
        mount = options.mount
        self._rng = rng
        turn, dx, dy = rng.standard_normal(3).tolist()
        # The truth is off the survey by one draw of the survey's own stated error.
        self._axis = enu_heading(mount.heading) + math.radians(mount.heading_std) * turn
        self._x, self._y = mount.x + mount.position_std * dx, mount.y + mount.position_std * dy
        self._lives: dict[int, _Life] = {}
        self._ghosts: list[tuple[int, RadarReading]] = []
        self._counter = 0

    def look(self, scene: Scene) -> RadarCycle:
        """The cycle that this radar reports of a scene."""
        self._counter += 1
        readings: list[RadarReading] = []
        truth: dict[int, int] = {}
        views = self._views(scene)
        # One row per object, seen or not: who comes into view changes nobody else's numbers.
        dice = self._rng.random((len(scene.ids), 2))
        noise = self._rng.standard_normal((len(scene.ids), 5))
        rolled, errors = dice.tolist(), noise.tolist()
        for i, key in enumerate(scene.ids):
            reading = self._reading(scene, i, views, rolled[i], errors[i])
            if reading is not None:
                readings.append(reading)
                truth[reading.number] = key
        self._haunt(readings, scene, truth, dice)
        self._forget(set(scene.ids))
        return RadarCycle(self._counter, scene.time_ns, tuple(readings), truth)

    def chance(self, scene: Scene) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        """Of each object being found in one cycle, shape (N,)."""
        views = self._views(scene)
        return np.array([self._chance(scene, i, views) for i in range(len(views))])

    def _chance(self, scene: Scene, i: int, views: list[tuple[float, float, float]]) -> float:
        distance, azimuth, _ = views[i]
        if not _in_cone(distance, azimuth):
            return 0.0
        course = float(scene.heading[i]) - self._axis
        radial = float(scene.speed[i]) * math.cos(course - azimuth)
        chance = FOUND_SLOW if abs(radial) < SLOW else FOUND
        return chance * (HIDDEN if _hidden(i, views) else 1.0)

    def _views(self, scene: Scene) -> list[tuple[float, float, float]]:
        """Range, azimuth and half the angle taken up, of everyone."""
        views = []
        for (x, y), (length, width, _), heading in zip(
            scene.position.tolist(), scene.size.tolist(), scene.heading.tolist(), strict=True
        ):
            dx, dy = x - self._x, y - self._y
            distance = max(math.hypot(dx, dy), NEAREST)
            bearing = math.atan2(dy, dx)
            seen = abs(length * math.sin(heading - bearing)) + abs(
                width * math.cos(heading - bearing)
            )
            views.append(
                (distance, wrap_angle(bearing - self._axis), math.atan2(seen / 2, distance))
            )
        return views

    def _reading(
        self, scene: Scene, i: int, views: list[tuple[float, float, float]], dice: list[float],
        noise: list[float],
    ) -> RadarReading | None:  # fmt: skip
        distance, azimuth, _ = views[i]
        course = float(scene.heading[i]) - self._axis
        speed = float(scene.speed[i])
        life = self._lives.get(scene.ids[i])
        if dice[0] >= self._chance(scene, i, views):
            return None
        if life is None:
            number = self._free_number()
            if number is None:
                return None
            life = self._lives[scene.ids[i]] = _Life(number)
        life.seen, life.missed = life.seen + 1, 0
        life.moved = life.moved or speed > SLOW
        across_std = distance * (AZIMUTH_STD_FAR if distance > NEAR_RANGE else AZIMUTH_STD)
        range_std = RANGE_STD
        at = Vec2(distance * math.cos(azimuth), distance * math.sin(azimuth))
        radial_error, across_error = range_std * noise[0], across_std * noise[1]
        cos, sin = math.cos(azimuth), math.sin(azimuth)
        v_radial, v_across = RADIAL_SPEED_STD * noise[2], TANGENTIAL_SPEED_STD * noise[3]
        size = scene.size[i].tolist()
        kind = scene.classes[i]
        return RadarReading(
            number=life.number,
            forward=at.x + radial_error * cos - across_error * sin,
            left=at.y + radial_error * sin + across_error * cos,
            speed_forward=speed * math.cos(course) + v_radial * cos - v_across * sin,
            speed_left=speed * math.sin(course) + v_radial * sin + v_across * cos,
            dynamic=_dynamic(speed, course, life),
            rcs=_RCS.get(kind, 0.0) + 3.0 * noise[4],
            forward_rms=_index(math.hypot(range_std * cos, across_std * sin)),
            left_rms=_index(math.hypot(range_std * sin, across_std * cos)),
            speed_forward_rms=_index(
                math.hypot(RADIAL_SPEED_STD * cos, TANGENTIAL_SPEED_STD * sin)
            ),
            speed_left_rms=_index(math.hypot(RADIAL_SPEED_STD * sin, TANGENTIAL_SPEED_STD * cos)),
            orientation_rms=bisect.bisect_left(ANGLE_RMS, 10.0) if speed > 2.0 else 31,
            state=_NEW if life.seen == 1 else _MEASURED,
            existence=min(1 + life.seen, 7),
            kind=_KINDS.get(kind, 0) if life.seen > 3 else 0,
            orientation=math.degrees(wrap_angle(course)) + 3.0 * noise[3],
            length=size[0],
            width=size[1],
        )

    def _haunt(
        self,
        readings: list[RadarReading],
        scene: Scene,
        truth: dict[int, int],
        dice: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    ) -> None:
        """Ghosts: an echo by way of vehicle and radar again, at twice the range, same bearing."""
        alive = [(left - 1, ghost) for left, ghost in self._ghosts if left > 1]
        doubled = (scene.size[:, 0] >= LARGE) & (dice[:, 1] < GHOST_CHANCE)
        large = {scene.ids[i] for i in np.flatnonzero(doubled).tolist()}
        for reading in list(readings):
            if truth[reading.number] not in large:
                continue
            number = self._free_number([ghost.number for _, ghost in alive])
            if number is None or not _in_cone(
                2 * math.hypot(reading.forward, reading.left),
                math.atan2(reading.left, reading.forward),
            ):
                continue
            alive.append(
                (
                    GHOST_CYCLES,
                    RadarReading(
                        number, 2 * reading.forward, 2 * reading.left, 2 * reading.speed_forward,
                        2 * reading.speed_left, reading.dynamic, reading.rcs - 15.0,
                        reading.forward_rms, reading.left_rms, reading.speed_forward_rms,
                        reading.speed_left_rms, existence=2,
                    ),
                )
            )  # fmt: skip
        self._ghosts = alive
        readings.extend(ghost for _, ghost in alive)

    def _forget(self, present: set[int]) -> None:
        for key, life in list(self._lives.items()):
            life.missed += 1  # set to 0 by whoever was seen in this cycle, so 1 now
            if life.missed > FORGET_CYCLES or (key not in present and life.missed > 1):
                del self._lives[key]

    def _free_number(self, taken: list[int] | None = None) -> int | None:
        used = {life.number for life in self._lives.values()}
        used.update(ghost.number for _, ghost in self._ghosts)
        used.update(taken or ())
        return next((n for n in range(NUMBERS) if n not in used), None)


def _in_cone(distance: float, azimuth: float) -> bool:
    near = distance <= NEAR_RANGE and abs(azimuth) <= NEAR_ANGLE
    return near or (distance <= FAR_RANGE and abs(azimuth) <= FAR_ANGLE)


def _hidden(i: int, views: list[tuple[float, float, float]]) -> bool:
    """Whether something nearer covers the whole width of this one."""
    distance, azimuth, half = views[i]
    for d, a, h in views:
        if d < distance and half <= h and abs(wrap_angle(azimuth - a)) + half <= h:
            return True
    return False


def _dynamic(speed: float, course: float, life: _Life) -> int:
    if speed <= SLOW:
        return _STOPPED if life.moved else _STATIONARY
    along = math.cos(course)
    if abs(along) < math.cos(math.radians(60.0)):
        return _CROSSING
    return _MOVING if along > 0.0 else _ONCOMING


def _index(std: float) -> int:
    """Smallest index that does not claim to be better than `std`."""
    return min(bisect.bisect_left(LINEAR_RMS, std), len(LINEAR_RMS) - 1)
