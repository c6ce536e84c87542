"""What never changes while a unit runs: lanes, stop lines, crossings, bays, sensors, in metres.

In: the site file and its map. Out: plain data in the site frame (m, east and north).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rsu.config.cameras import PoseCalibration
from rsu.config.model import SiteConfig
from rsu.runtime import graph
from rsu.schema.sensing import SensorKind
from rsu.site.lanes import Floats, Lane, SiteMap


def place_of(config: SiteConfig, site_map: SiteMap) -> dict[str, Any]:
    """The static part of the page."""
    return {
        "id": config.site.id,
        "title": config.site.title or config.site.id,
        "latitude": config.site.origin.latitude,
        "longitude": config.site.origin.longitude,
        "lanes": [_lane(lane) for lane in site_map.lanes],
        "lights": _lights(site_map),
        "zones": [
            {"id": zone.id, "kind": str(zone.kind), "title": zone.title, "lot": zone.lot,
             "ring": _points(zone.ring)}
            for zone in site_map.zones
        ],
        "sensors": _sensors(config),
        "signs": [
            {"id": sign.id, "code": sign.code, "x": round(sign.position.x, 1),
             "y": round(sign.position.y, 1), "text": sign.description}
            for sign in graph.signs_of(config, site_map)
        ],
        "profiles": graph.profiles_of(config),
        "uplink": config.uplink is not None,
        "recording": config.recording is not None,
        "radios": [radio.id for radio in config.radios],
    }  # fmt: skip


def _lane(lane: Lane) -> dict[str, Any]:
    return {
        "id": lane.id,
        "kind": str(lane.kind),
        "role": None if lane.role is None else str(lane.role),
        "maneuver": None if lane.maneuver is None else str(lane.maneuver),
        "width": lane.width,
        "both": str(lane.direction) == "both",
        "group": lane.signal_group,
        "line": _points(lane.centreline),
        "stop": None if lane.stop_line is None else _across(lane, lane.stop_line),
    }


def _lights(site_map: SiteMap) -> list[dict[str, Any]]:
    """Where each light is drawn: on the stop line before a governed lane, one beside the other;
    on both ends of a governed crosswalk."""
    lights: list[dict[str, Any]] = []
    for lane in site_map.lanes:
        if lane.stop_line is None:
            continue
        governed = [
            site_map.lane(name)
            for name in lane.successors
            if site_map.lane(name).signal_group is not None
        ]
        groups = list(dict.fromkeys(one.signal_group for one in governed))
        x, y, heading = lane.at(lane.stop_line)
        for index, group in enumerate(groups):
            share = (index + 1) / (len(groups) + 1) - 0.5
            turns = [str(one.maneuver) for one in governed if one.signal_group == group]
            lights.append(
                {
                    "group": group,
                    "lane": lane.id,
                    "turns": turns,
                    "x": round(x - math.sin(heading) * share * lane.width, 2),
                    "y": round(y + math.cos(heading) * share * lane.width, 2),
                    "heading": round(heading, 3),
                    "width": round(lane.width / max(1, len(groups)), 2),
                }
            )
    return lights


def _sensors(config: SiteConfig) -> list[dict[str, Any]]:
    """All sensors; those whose place and view are known in plain numbers carry them."""
    kinds = graph.sensors_of(config)
    placed: dict[str, dict[str, Any]] = {}
    for camera in config.cameras:
        known = camera.calibration
        if isinstance(known, PoseCalibration):
            placed[camera.id] = {
                "x": known.pose.x,
                "y": known.pose.y,
                "heading": round(math.radians(90 - known.pose.heading), 3),
                "view": round(2 * math.atan(known.image_width / 2 / known.lens.fx), 3),
                "range": camera.max_range,
            }
    for radar in config.radars:
        mount = getattr(radar, "mount", None)
        if mount is not None:
            placed[radar.id] = {
                "x": mount.x,
                "y": mount.y,
                "heading": round(math.radians(90 - mount.heading), 3),
                "view": None,
                "range": None,
            }
    return [
        {"id": name, "kind": str(kind), **placed.get(name, {})}
        for name, kind in kinds.items()
        if kind is not SensorKind.V2X
    ]


def _across(lane: Lane, station: float) -> list[list[float]]:
    x, y, heading = lane.at(station)
    half = lane.width / 2
    dx, dy = -math.sin(heading) * half, math.cos(heading) * half
    return [[round(x + dx, 2), round(y + dy, 2)], [round(x - dx, 2), round(y - dy, 2)]]


def _points(line: Floats) -> list[list[float]]:
    rounded: list[list[float]] = np.round(line, 2).tolist()
    return rounded
