"""The table as it is told to others: a `TrackList` of what is surely there.

In: a table and the time before which births are settled; out: one `TrackList`. A track leaves
fusion once it is confirmed, while it is more likely there than not, and after its birth has
settled (so that its id can never pass to another object). Both state forms become
(x, y, heading, speed, turn_rate) with their covariance.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rsu.fusion.classes import CLASSES
from rsu.fusion.lane_heading import LaneHeadings
from rsu.fusion.motion import BIRTH_TURN_STD, Floats, polar_jacobian, product
from rsu.fusion.regime import REST_SPEED_STD, REST_TURN_STD
from rsu.fusion.table import CLASS_PRIOR, FRESH_NS, UNKNOWN_HEADING_STD, Rows, Table
from rsu.schema.tracks import Track, TrackList, TrackStatus
from rsu.schema.units import NS_PER_S, Size, Vec2

LIKELIER_THAN_NOT = 0.5  # existence below which a confirmed track is withheld until seen again
SOURCE_NS = NS_PER_S  # ns: sensors that measured the track this recently count as its sources

_UPPER = np.flatnonzero(np.triu(np.ones((5, 5))))  # in a row-major 5×5


def track_list(
    table: Table,
    settled_ns: int,
    sensors: tuple[str, ...],
    lanes: LaneHeadings | None = None,
) -> TrackList:
    """All publishable tracks of a table, in order of id; `sensors` names its columns, `lanes` help
    with headings that motion does not show."""
    everyone = table.rows
    told = everyone.confirmed & (everyone.existence >= LIKELIER_THAN_NOT)
    told &= everyone.born_ns < settled_ns
    who = told.nonzero()[0]
    chosen = everyone if len(who) == len(everyone) else everyone.take(who)
    state, cov = published_state(chosen)
    if lanes is not None:
        lanes.inform(state, cov, chosen.motor > LIKELIER_THAN_NOT)
    class_index = chosen.class_index
    weight = chosen.class_evidence + CLASS_PRIOR  # mean of the Dirichlet distribution
    probability = weight[np.arange(len(chosen)), class_index] / weight.sum(axis=1)
    columns = zip(
        chosen.id.tolist(), class_index.tolist(), probability.tolist(), state.tolist(),
        cov.reshape(-1, 25).take(_UPPER, 1).tolist(), chosen.size.tolist(),
        chosen.existence.tolist(), chosen.born_ns.tolist(), chosen.updated_ns.tolist(),
        _sources(chosen, sensors), strict=True,
    )  # fmt: skip
    coasting, confirmed = TrackStatus.COASTING, TrackStatus.CONFIRMED
    fresh_ns = table.time_ns - FRESH_NS
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
            status=coasting if updated < fresh_ns else confirmed,
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

    A standing track is where its static filter says, with speed 0. A track whose motion is not
    established has its last known heading, or none: then the deviation is that of a uniform angle.
    """
    resting, polar = rows.stands, rows.polar
    state, cov = rows.state.copy(), rows.cov.copy()
    state[:, 2] = rows.heading
    # A vehicle rolling back more slowly than its own noise is said to stand, not to turn round.
    np.maximum(state[:, 3], 0.0, out=state[:, 3])
    free = (~polar & ~resting).nonzero()[0]
    if len(free):
        jacobian, _, speed = polar_jacobian(rows.state.take(free, 0))
        still = ~rows.moving[free]
        jacobian[still, 2] = 0.0
        turned = product(product(jacobian, rows.cov.take(free, 0)), jacobian.swapaxes(1, 2))
        turned[:, 2, 2] += still * rows.heading_var[free]
        turned[:, 4, 4] += BIRTH_TURN_STD**2
        cov[free] = turned
        state[:, 3][free], state[:, 4][free] = speed, 0.0
    stands = resting.nonzero()[0]
    if len(stands):
        rest = np.zeros((len(stands), 5, 5))
        rest[:, :2, :2] = rows.rest_cov[stands]
        rest[:, 2, 2] = rows.heading_var[stands]
        # It may move after all, then as the moving filter says.
        moves = 1.0 - rows.rest_probability[stands]
        rest[:, 3, 3] = REST_SPEED_STD**2 + moves * _speed_squared(rows, stands)
        rest[:, 4, 4] = REST_TURN_STD**2
        cov[stands] = rest
        state[stands, :2] = rows.rest_position[stands]
        state[stands, 3:] = 0.0
    # Looking longer does not cure a calibration: the sensor's standing error comes on top.
    cov[:, :2, :2] += rows.constant_cov
    _cap_heading(cov)
    return state, cov


def _speed_squared(rows: Rows, which: npt.NDArray[np.intp]) -> Floats:
    """Mean squared speed of the moving filter, (m/s)²."""
    first, second = rows.state[which, 2], rows.state[which, 3]
    cov, polar = rows.cov[which], rows.polar[which]
    along = second**2 + cov[:, 3, 3]
    return np.asarray(np.where(polar, along, first**2 + cov[:, 2, 2] + along))


def _cap_heading(cov: Floats) -> None:
    """No angle is less certain than a uniform one; scaling its row and column keeps cov valid."""
    wide = (cov[:, 2, 2] > UNKNOWN_HEADING_STD**2).nonzero()[0]
    if not len(wide):
        return
    scale = UNKNOWN_HEADING_STD / np.sqrt(cov[wide, 2, 2])[:, None]
    cov[wide, 2, :] *= scale
    cov[wide, :, 2] *= scale


def _sources(rows: Rows, sensors: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Names of the sensors that measured each track lately, sorted."""
    recent = rows.last_seen > rows.updated_ns[:, None] - SOURCE_NS
    flags, width = recent.tobytes(), recent.shape[1]
    rows_flags = [flags[at : at + width] for at in range(0, len(flags), max(width, 1))]
    # Few combinations, many tracks: each combination is spelt out once.
    spelt = {
        key: tuple(sorted(name for name, seen in zip(sensors, key, strict=False) if seen))
        for key in set(rows_flags)
    }
    return [spelt[key] for key in rows_flags]
