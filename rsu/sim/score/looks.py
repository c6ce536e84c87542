"""Single looks of each sensor against the truth: what one frame or cycle found and what it made up.

Detections in the site frame go in, each with the truth of its moment; recall, precision and age per
sensor come out, overall and by class and range.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rsu.schema.reports import Truth
from rsu.schema.sensing import CameraDetections, ObjectClass, RadarObjects
from rsu.schema.units import NS_PER_MS, Vec2
from rsu.sim.score.coverage import CameraView, Coverage, RadarView
from rsu.sim.score.distribution import Distribution
from rsu.sim.score.moments import between, scene_of
from rsu.sim.score.tracking import ALL, FAR, Numbers, assigned, gate_of, groups_of, share

WIDENING = {CameraView: 0.1, RadarView: 0.03}
"""Added to the gate per metre from the sensor. A pixel of a camera on an 8 m mast is metres along
the line of sight at 80 m; a radar's azimuth is 1° (0.02) at worst."""


@dataclass
class _Tally:
    objects: int = 0
    found: int = 0
    reported: int = 0
    true: int = 0


@dataclass
class _Sensor:
    groups: defaultdict[str, _Tally] = field(default_factory=lambda: defaultdict(_Tally))
    age_ms: Distribution = field(default_factory=Distribution)


class Looks:
    """Takes looks, gives numbers. A sensor whose view is not known has no recall."""

    def __init__(self, coverage: Coverage) -> None:
        self._coverage = coverage
        self._sensors: defaultdict[str, _Sensor] = defaultdict(_Sensor)

    def take(self, look: CameraDetections | RadarObjects, publish_ns: int, truth: Truth) -> None:
        """One frame or cycle; `truth` is the nearest in time and is carried to its moment."""
        sensor = self._sensors[look.sensor]
        sensor.age_ms.add((publish_ns - look.capture_ns) / NS_PER_MS)
        places, classes = _reported(look)
        scene = scene_of(truth, look.capture_ns)
        view = self._coverage.views.get(look.sensor)
        seen = np.zeros(len(scene.ids), dtype=np.bool_) if view is None else view.sees(scene)
        found = np.array([(place.x, place.y) for place in places], dtype=np.float64).reshape(-1, 2)
        gate = np.array([gate_of(one) for one in scene.classes])
        if view is not None:
            gate += WIDENING[type(view)] * np.hypot(*(scene.position - view.position).T)
        distance = between(scene.position, found)
        pairs = dict(assigned(np.where(distance <= gate[:, None], distance, FAR)))
        away = np.hypot(scene.position[:, 0], scene.position[:, 1]).tolist()
        for i, kind in enumerate(scene.classes):
            if not seen[i] and i not in pairs:
                continue
            for name in groups_of(kind, away[i]):
                tally = sensor.groups[name]
                tally.objects += bool(seen[i])
                tally.found += bool(seen[i]) and i in pairs
                tally.reported += i in pairs
                tally.true += i in pairs
        away = np.hypot(found[:, 0], found[:, 1]).tolist()
        for j in set(range(len(places))) - set(pairs.values()):
            for name in groups_of(classes[j], away[j]):
                sensor.groups[name].reported += 1

    def numbers(self) -> Numbers:
        """`sensor.S.recall` …, by class and range where there was something."""
        out: Numbers = {}
        for name, sensor in sorted(self._sensors.items()):
            for group, tally in sorted(sensor.groups.items()):
                prefix = f"sensor.{name}." + ("" if group == ALL else f"{group}.")
                known = name in self._coverage.views
                out[f"{prefix}recall"] = share(tally.found, tally.objects) if known else None
                out[f"{prefix}precision"] = share(tally.true, tally.reported)
            for level in (50, 95):
                out[f"sensor.{name}.age_ms.p{level}"] = sensor.age_ms.quantile(level / 100)
        return out


def _reported(
    look: CameraDetections | RadarObjects,
) -> tuple[Sequence[Vec2], Sequence[ObjectClass]]:
    some = look.detections if isinstance(look, CameraDetections) else look.objects
    return [one.position for one in some], [one.object_class for one in some]
