"""Draw the example parking lot: writes configs/parking-lot-{lanes,zones}.geojson.

One aisle, driven from west to east, with twelve bays on either side and a fire lane at its end,
laid out in metres around the origin given in configs/parking-lot.yaml (properties:
docs/site-map.md). Run it from the repository root after changing a number:
`python -m tools.make_parking_map`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from rsu.site.geodesy import LocalFrame

ORIGIN = LocalFrame(31.01, 121.01, 10.0)
HALF = 50.0  # half the aisle, m
AISLE = 6.0  # its width, m
BAY_WIDTH, BAY_LENGTH = 2.5, 5.3  # m, GB 50067 bays are 2.4 by 5.3 at least
BAYS = 12  # on either side
SPEED = 10 / 3.6  # m/s

Point = tuple[float, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("configs"), help="folder to write into")
    folder = parser.parse_args().out
    _write(folder / "parking-lot-lanes.geojson", lanes())
    _write(folder / "parking-lot-zones.geojson", zones())


def lanes() -> list[dict[str, Any]]:
    """The aisle."""
    line = [_degrees((-HALF, 0.0)), _degrees((HALF, 0.0))]
    properties = {
        "id": "aisle", "kind": "parking-aisle", "width": AISLE, "speed_limit": round(SPEED, 3),
        "lane_id": 1, "upstream_node": 2, "downstream_node": 3,
    }  # fmt: skip
    return [_feature({"type": "LineString", "coordinates": line}, properties)]


def zones() -> list[dict[str, Any]]:
    """The bays, numbered from west to east, north side first; the fire lane."""
    found = []
    for side, sign in (("n", 1), ("s", -1)):
        near, far = sign * AISLE / 2, sign * (AISLE / 2 + BAY_LENGTH)
        for number in range(BAYS):
            left = (number - BAYS / 2) * BAY_WIDTH
            ring = [(left, near), (left + BAY_WIDTH, near), (left + BAY_WIDTH, far), (left, far)]
            properties = {
                "id": f"bay-{side}-{number + 1:02d}", "kind": "bay", "lot": "west", "lane": "aisle",
            }  # fmt: skip
            found.append(_polygon(ring, properties))
    ring = [(25.0, 3.5), (33.0, 3.5), (33.0, 6.5), (25.0, 6.5)]
    found.append(_polygon(ring, {"id": "fire-lane", "kind": "fire-lane", "title": "Fire lane"}))
    return found


def _polygon(ring: list[Point], properties: dict[str, Any]) -> dict[str, Any]:
    closed = [_degrees(point) for point in (*ring, ring[0])]
    return _feature({"type": "Polygon", "coordinates": [closed]}, properties)


def _degrees(point: Point) -> list[float]:
    latitude, longitude, _ = ORIGIN.to_geodetic(*point)
    return [round(float(longitude), 8), round(float(latitude), 8)]


def _feature(geometry: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def _write(path: Path, features: list[dict[str, Any]]) -> None:
    lines = ",\n".join(json.dumps(feature) for feature in features)
    text = f'{{"type": "FeatureCollection", "features": [\n{lines}\n]}}\n'
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
