"""Draw the example junction: writes configs/junction-{lanes,zones}.geojson.

A four-leg signalised junction with right-hand traffic, centred on the origin given in
configs/junction.yaml. Everything is laid out in metres east/north of that origin and written as
WGS-84 (properties: docs/site-map.md). Run it from the repository root after changing a number:
`python -m tools.make_junction_map`; a test holds the committed files against it.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

from rsu.site.geodesy import LocalFrame

ORIGIN = LocalFrame(31.0, 121.0, 10.0)

LANE = 3.5  # lane width, m
STOP = 17.5  # distance of stop lines and exit mouths from the centre, m
LEG = 120.0  # length of every entry and exit lane, m
CROSSWALK = 14.0  # distance of crosswalk centrelines from the centre, m
WALK = 9.0  # distance of sidewalk centrelines from the leg's axis, m
SPEED = 50 / 3.6  # m/s
TURN_SPEED = {"left": 25 / 3.6, "right": 20 / 3.6, "straight": 50 / 3.6}  # m/s

NODE = 1  # this intersection
# Leg → (neighbour node, direction of the leg seen from the centre). In this order each leg's
# clockwise neighbour follows it.
LEGS = {"n": (11, (0, 1)), "e": (12, (1, 0)), "s": (13, (0, -1)), "w": (14, (-1, 0))}
# Signal groups: through and right of a street share one, its protected left turns have another,
# and every crosswalk has its own.
THROUGH = {"n": 1, "s": 1, "e": 3, "w": 3}
LEFT = {"n": 2, "s": 2, "e": 4, "w": 4}
WALKERS = {"n": 5, "e": 6, "s": 7, "w": 8}

Point = tuple[float, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("configs"), help="folder to write into")
    folder = parser.parse_args().out
    _write(folder / "junction-lanes.geojson", lanes())
    _write(folder / "junction-zones.geojson", zones())


def lanes() -> list[dict[str, Any]]:
    """All lane features: entries, exits, connections, crosswalks, sidewalks."""
    features: list[dict[str, Any]] = []
    order = list(LEGS)
    for index, leg in enumerate(order):
        neighbour, _ = LEGS[leg]
        right, ahead, left = (order[(index + step) % 4] for step in (3, 2, 1))
        # Seen from a driver coming in on this leg: the leg clockwise of it lies to the left.
        for number, targets in ((1, [f"{leg}-left"]), (2, [f"{leg}-through", f"{leg}-right"])):
            features.append(
                _lane(
                    f"in-{leg}-{number}",
                    [_on(leg, -_offset(number), STOP + LEG), _on(leg, -_offset(number), STOP)],
                    kind="vehicle", role="entry", width=LANE, speed_limit=SPEED,
                    upstream_node=neighbour, downstream_node=NODE, lane_id=number,
                    successors=targets, stop_line=LEG,
                )
            )  # fmt: skip
            features.append(
                _lane(
                    f"out-{leg}-{number}",
                    [_on(leg, _offset(number), STOP), _on(leg, _offset(number), STOP + LEG)],
                    kind="vehicle", role="exit", width=LANE, speed_limit=SPEED,
                    upstream_node=NODE, downstream_node=neighbour, lane_id=number,
                )
            )  # fmt: skip
        for name, maneuver, target, number, group in (
            ("left", "left", left, 1, LEFT[leg]),
            ("through", "straight", ahead, 2, THROUGH[leg]),
            ("right", "right", right, 2, THROUGH[leg]),
        ):
            start = _on(leg, -_offset(number), STOP)
            end = _on(target, _offset(number), STOP)
            features.append(
                _lane(
                    f"{leg}-{name}",
                    [start, end] if maneuver == "straight" else _arc(leg, start, end),
                    kind="vehicle", role="connection", maneuver=maneuver, width=LANE,
                    speed_limit=TURN_SPEED[maneuver], signal_group=group,
                    successors=[f"out-{target}-{number}"],
                    yields_to=[f"cross-{leg}", f"cross-{target}"],
                )
            )  # fmt: skip
    features.extend(_footways())
    return features


def _footways() -> list[dict[str, Any]]:
    features: list[dict[str, Any]] = []
    order = list(LEGS)
    for index, leg in enumerate(order):
        neighbour, _ = LEGS[leg]
        before, after = order[index - 1], order[(index + 1) % 4]
        # Seen from the centre towards the leg's end, `after` lies to the right.
        features.append(
            _lane(
                f"cross-{leg}",
                [_on(leg, -WALK, CROSSWALK), _on(leg, WALK, CROSSWALK)],
                kind="crosswalk", direction="both", width=4.0, signal_group=WALKERS[leg],
                upstream_node=neighbour, downstream_node=NODE, lane_id=3,
                successors=[
                    f"walk-{leg}-{before}", f"corner-{before}-{leg}",
                    f"walk-{leg}-{after}", f"corner-{leg}-{after}",
                ],
            )
        )  # fmt: skip
        for side, sign, corner in (
            (before, -1, f"corner-{before}-{leg}"),
            (after, 1, f"corner-{leg}-{after}"),
        ):
            features.append(
                _lane(
                    f"walk-{leg}-{side}",
                    [_on(leg, sign * WALK, CROSSWALK), _on(leg, sign * WALK, STOP + LEG)],
                    kind="sidewalk", direction="both", width=3.0,
                    successors=[f"cross-{leg}", corner],
                )
            )  # fmt: skip
        features.append(
            _lane(
                f"corner-{leg}-{after}",
                [_on(leg, WALK, CROSSWALK), _on(after, -WALK, CROSSWALK)],
                kind="sidewalk", direction="both", width=3.0,
                successors=[
                    f"cross-{leg}", f"walk-{leg}-{after}", f"cross-{after}", f"walk-{after}-{leg}",
                ],
            )
        )  # fmt: skip
    return features


def zones() -> list[dict[str, Any]]:
    """The conflict area, the box nobody may stop in, and the corners where people wait."""
    half = 2 * LANE
    octagon = [
        (-half, STOP), (half, STOP), (STOP, half), (STOP, -half),
        (half, -STOP), (-half, -STOP), (-STOP, -half), (-STOP, half),
    ]  # fmt: skip
    features = [
        _zone("junction", octagon, kind="junction", title="Conflict area"),
        _zone(
            "box",
            [(-half, -half), (half, -half), (half, half), (-half, half)],
            kind="no-stopping",
            title="Keep-clear box",
        ),
    ]
    order = list(LEGS)
    for index, leg in enumerate(order):
        after = order[(index + 1) % 4]
        corner = [
            _on(leg, WALK - 1.5, CROSSWALK - 2), _on(leg, WALK - 1.5, CROSSWALK + 2),
            _on(leg, WALK + 1.5, CROSSWALK + 2), _on(after, -WALK - 1.5, CROSSWALK + 2),
            _on(after, -WALK + 1.5, CROSSWALK + 2), _on(after, -WALK + 1.5, CROSSWALK - 2),
        ]  # fmt: skip
        features.append(_zone(f"wait-{leg}-{after}", corner, kind="waiting"))
    return features


def _offset(number: int) -> float:
    return (number - 0.5) * LANE


def _on(leg: str, across: float, along: float) -> Point:
    """The point `along` m out on a leg and `across` m to the right as seen from the centre."""
    dx, dy = LEGS[leg][1]
    return (along * dx + across * dy, along * dy - across * dx)


def _arc(leg: str, start: Point, end: Point) -> list[Point]:
    """A quarter circle that leaves `start` towards the centre of the junction, about 1 m a step."""
    dx = LEGS[leg][1][0]
    # Leaving along the leg: the circle's centre has the end's coordinate across that direction.
    centre = (end[0], start[1]) if dx == 0 else (start[0], end[1])
    radius = math.dist(centre, start)
    first = math.atan2(start[1] - centre[1], start[0] - centre[0])
    sweep = math.remainder(math.atan2(end[1] - centre[1], end[0] - centre[0]) - first, math.tau)
    steps = math.ceil(abs(sweep) * radius)
    angles = [first + sweep * i / steps for i in range(steps + 1)]
    return [
        (centre[0] + radius * math.cos(angle), centre[1] + radius * math.sin(angle))
        for angle in angles
    ]


def _lane(name: str, line: list[Point], **properties: Any) -> dict[str, Any]:
    return _feature(name, {"type": "LineString", "coordinates": _wgs84(line)}, properties)


def _zone(name: str, ring: list[Point], **properties: Any) -> dict[str, Any]:
    area = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(ring, ring[1:] + ring[:1], strict=True))
    outer = ring if area > 0 else ring[::-1]  # counter-clockwise (RFC 7946, 3.1.6)
    closed = _wgs84([*outer, outer[0]])
    return _feature(name, {"type": "Polygon", "coordinates": [closed]}, properties)


def _feature(name: str, geometry: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
    rounded = {
        key: round(value, 3) if isinstance(value, float) else value
        for key, value in properties.items()
    }
    return {"type": "Feature", "properties": {"id": name, **rounded}, "geometry": geometry}


def _wgs84(line: list[Point]) -> list[list[float]]:
    # 1e-8 degrees is about 1 mm.
    geodetic = (ORIGIN.to_geodetic(x, y) for x, y in line)
    return [[round(lon, 8), round(lat, 8)] for lat, lon, _ in geodetic]


def _write(path: Path, features: list[dict[str, Any]]) -> None:
    lines = ",\n".join(json.dumps(feature) for feature in features)
    path.write_text(f'{{"type": "FeatureCollection", "features": [\n{lines}\n]}}\n', "utf-8")
    print(f"{path}: {len(features)} features")


if __name__ == "__main__":
    main()
