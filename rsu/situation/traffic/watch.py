"""Who looks at which lane, and whether that sensor is live.

In: sensor health and pictures. Out: per lane, whether anybody looks. Which sensors see a lane is
learnt from those who have measured vehicles on it; until one has, any live sensor will do. Where a
lane's own sensors are away, it is not covered, whatever the others see.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rsu.schema.health import SensorHealth, SensorState
from rsu.schema.sensing import SensorKind
from rsu.schema.units import NS_PER_S, Instant
from rsu.situation.cadence import Cadence
from rsu.situation.picture import Picture

PERCEIVING = frozenset({SensorKind.CAMERA, SensorKind.RADAR, SensorKind.LIDAR})
HEALTH_NS = 5 * NS_PER_S  # ns: health comes every second; older than this it says nothing
FRESH_NS = NS_PER_S // 2  # ns since the last measurement: beyond it a track is only carried on
TURN = (12, 6)  # once a second (`Cadence`) it is noted who measures whom
FORGETS_NS = 1800 * NS_PER_S
"""A sensor that measured nobody on a lane for half an hour may have been turned away."""


class Watch:
    """Remembers health, and who measured vehicles on which lane."""

    def __init__(self, lanes: int) -> None:
        self._lanes = lanes
        self._health: dict[str, tuple[bool, int]] = {}
        self._seen_by: dict[tuple[str, int], int] = {}
        self._cadence = Cadence(*TURN)

    def hear(self, health: SensorHealth, now: Instant) -> None:
        """One sensor's health."""
        if health.kind in PERCEIVING:
            self._health[health.sensor] = (health.state is SensorState.LIVE, now.mono_ns)

    def forget(self) -> None:
        """The clock was set back: who sees what is still known, since when is not."""
        self._seen_by = dict.fromkeys(self._seen_by, 0)
        self._cadence.forget()

    def learn(self, picture: Picture) -> None:
        """Take note of who measures whom where, once a second."""
        if not self._cadence.due(picture.time_ns):
            return
        time_ns = picture.time_ns
        lane = picture.road.lane.tolist()
        for i in np.flatnonzero(picture.vehicle & picture.road.inside).tolist():
            track = picture.tracks[i]
            if time_ns - track.updated_ns <= FRESH_NS:
                for sensor in track.sources:
                    self._seen_by[sensor, lane[i]] = time_ns
        if any(0 < at < time_ns - FORGETS_NS for at in self._seen_by.values()):
            self._seen_by = {
                key: at for key, at in self._seen_by.items() if at >= time_ns - FORGETS_NS
            }

    def anyone(self, now: Instant) -> bool:
        """Whether any sensor is live. Without any word on health, the track lists themselves are
        the sign of life."""
        return not self._health or bool(self._live(now))

    def covered(self, now: Instant) -> npt.NDArray[np.float64]:
        """1 for lanes at which a live sensor looks, else 0; shape (L,)."""
        if not self._health:
            return np.ones(self._lanes)
        live = self._live(now)
        known, looks = np.zeros(self._lanes, np.bool_), np.zeros(self._lanes, np.bool_)
        for sensor, lane in self._seen_by:
            if sensor in self._health:
                known[lane] = True
                looks[lane] |= sensor in live
        return np.where(known, looks, bool(live)).astype(np.float64)

    def _live(self, now: Instant) -> set[str]:
        return {
            sensor
            for sensor, (live, at) in self._health.items()
            if live and now.mono_ns - at <= HEALTH_NS
        }
