"""The table as it is told to others: a `TrackList` of what is surely there.

In: a table and the time before which births are settled; out: one `TrackList`. A track leaves
fusion once it is confirmed, while it is more likely there than not, and after its birth has
settled (so that its id can never pass to another object). Both state forms become
(x, y, heading, speed, turn_rate) with their covariance.
"""

from __future__ import annotations

import numpy as np

from rsu.fusion.classes import CLASSES
from rsu.fusion.motion import BIRTH_TURN_STD, Floats, polar_jacobian, symmetric
from rsu.fusion.regime import REST_SPEED_STD, REST_TURN_STD
from rsu.fusion.table import UNKNOWN_HEADING_STD, Rows, Table, believed_position
from rsu.schema.tracks import Track, TrackList, TrackStatus
from rsu.schema.units import NS_PER_MS, NS_PER_S, Size, Vec2

LIKELIER_THAN_NOT = 0.5  # existence below which a confirmed track is withheld until seen again
COASTING_NS = 300 * NS_PER_MS  # ns without a measurement: three frames of the slowest usual camera
SOURCE_NS = NS_PER_S  # ns: sensors that measured the track this recently count as its sources

_UPPER = np.triu_indices(5)


def track_list(table: Table, settled_ns: int, sensors: tuple[str, ...]) -> TrackList:
    """All publishable tracks of a table, in order of id; `sensors` names its columns."""
    rows = table.rows
    chosen = rows.take(
        rows.confirmed & (rows.existence >= LIKELIER_THAN_NOT) & (rows.born_ns < settled_ns)
    )
    state, cov = published_state(chosen)
    class_index = chosen.class_index
    probability = chosen.class_probability[np.arange(len(chosen)), class_index]
    columns = zip(
        chosen.id.tolist(), class_index.tolist(), probability.tolist(), state.tolist(),
        cov[:, _UPPER[0], _UPPER[1]].tolist(), chosen.size.tolist(), chosen.existence.tolist(),
        chosen.born_ns.tolist(), chosen.updated_ns.tolist(), _sources(chosen, sensors), strict=True,
    )  # fmt: skip
    tracks = tuple(
        Track(
            id=number,
            object_class=CLASSES[best],
            class_probability=sureness,
            position=Vec2(x, y),
            heading=heading,
            speed=speed,
            turn_rate=turn_rate,
            covariance=tuple(upper),
            size=Size(*size),
            existence=existence,
            status=(
                TrackStatus.COASTING
                if table.time_ns - updated > COASTING_NS
                else TrackStatus.CONFIRMED
            ),
            sources=sources,
            born_ns=born,
            updated_ns=updated,
        )
        for number, best, sureness, (x, y, heading, speed, turn_rate), upper, size, existence,
        born, updated, sources in columns
    )  # fmt: skip
    return TrackList(time_ns=table.time_ns, tracks=tracks)


def published_state(rows: Rows) -> tuple[Floats, Floats]:
    """N×5 state (x, y, heading, speed, turn rate) and its N×5×5 covariance.

    A resting track is where its static filter says, with speed 0. A track whose motion is not
    established has its last known heading, or none: then the deviation is that of a uniform angle.
    """
    n = len(rows)
    jacobian, _, speed = polar_jacobian(rows.state)
    jacobian[~rows.moving, 2, :] = 0.0
    free = np.einsum("nij,njk,nlk->nil", jacobian, rows.cov, jacobian)
    free[:, 4, 4] += BIRTH_TURN_STD**2
    rest = np.zeros((n, 5, 5))
    rest[:, :2, :2] = rows.rest_cov
    rest[:, 3, 3] = REST_SPEED_STD**2
    rest[:, 4, 4] = REST_TURN_STD**2
    free[~rows.moving, 2, 2] += rows.heading_var[~rows.moving]
    rest[:, 2, 2] = rows.heading_var
    resting, polar = rows.resting, rows.polar
    cov = np.where(polar[:, None, None], rows.cov, free)
    cov = np.where(resting[:, None, None], rest, cov)
    # Looking longer does not cure a calibration: the sensor's standing error comes on top.
    cov[:, :2, :2] += rows.constant_cov
    position, _ = believed_position(rows)
    # A vehicle rolling back more slowly than its own noise is said to stand, not to turn round.
    forward = np.where(polar, np.maximum(rows.state[:, 3], 0.0), speed)
    forward = np.where(resting, 0.0, forward)
    turn_rate = np.where(polar & ~resting, rows.state[:, 4], 0.0)
    state = np.column_stack((position, rows.heading, forward, turn_rate))
    return state, _capped_heading(cov)


def _capped_heading(cov: Floats) -> Floats:
    """No angle is less certain than a uniform one; scaling its row and column keeps cov valid."""
    deviation = np.sqrt(np.maximum(cov[:, 2, 2], 1e-12))
    scale = np.minimum(1.0, UNKNOWN_HEADING_STD / deviation)
    capped = cov.copy()
    capped[:, 2, :] *= scale[:, None]
    capped[:, :, 2] *= scale[:, None]
    return symmetric(capped)


def _sources(rows: Rows, sensors: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Names of the sensors that measured each track lately, sorted."""
    recent = (rows.last_seen > rows.updated_ns[:, None] - SOURCE_NS).tolist()
    by_name = sorted((name, column) for column, name in enumerate(sensors))
    return [tuple(name for name, column in by_name if flags[column]) for flags in recent]
