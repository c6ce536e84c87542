"""Build the SUMO network of a site: writes configs/sumo/junction.net.xml from the site's own map.

The site's lanes go in. Every entry, exit and connection becomes a lane of the network with the same
centreline, in metres of the site frame, and carries its id as the parameter `rsu`; each leg is
lengthened straight on, so that there is room for traffic beyond what the unit can see. The plain
XML is ours; SUMO's netconvert (PyPI: eclipse-sumo) works out right of way. Run it from the
repository root after changing the map: `python -m tools.make_sumo_net`.
"""

from __future__ import annotations

import argparse
import math
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree as ET  # only written here

import numpy as np
import numpy.typing as npt

from rsu.config.load import load_site
from rsu.sim.site_map import simulated_map
from rsu.site.lanes import Lane, LaneKind, LaneRole, SiteMap

Floats = npt.NDArray[np.float64]

BEFORE = 380.0
"""m by which entry legs are longer than in the map: together with the example's 120 m of two lanes
on four legs, room for some 500 waiting vehicles."""
BEYOND = 40.0
"""m by which exits are longer: vehicles leave the network by their fronts, and must be out of the
map with all their length (12 m) and of sight."""
LIMIT = 50 / 3.6  # m/s where the map states none, as in the built-in world
NETCONVERT = (
    # Coordinates stay those of the site frame: no shift to the origin.
    "--offset.disable-normalization", "true",
    # To the millimetre, as the map is written.
    "--precision", "3",
    # U-turns are only where the map has a connection for them.
    "--no-turnarounds", "true",
    # Lanes are drawn where they are: nothing is rounded off or merged.
    "--geometry.remove", "false", "--junctions.join", "false",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("site", type=Path, nargs="?", default=Path("configs/junction.yaml"))
    parser.add_argument("--out", type=Path, default=Path("configs/sumo/junction.net.xml"))
    parser.add_argument("--netconvert", help="the program [default: found on PATH or in the wheel]")
    args = parser.parse_args()
    site_map = simulated_map(load_site(args.site), args.site.parent)
    with TemporaryDirectory() as folder:
        inputs = write_plain(site_map, Path(folder))
        command = [args.netconvert or find_netconvert(), *inputs, "-o", str(Path(folder) / "net")]
        subprocess.run([*command, *NETCONVERT], check=True)
        text = (Path(folder) / "net").read_text("utf-8")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(without_preamble(text), "utf-8")
    print(f"{args.out}: {args.out.stat().st_size / 1000:.0f} kB")


def find_netconvert() -> str:
    """The program, from PATH or from the eclipse-sumo wheel."""
    if found := shutil.which("netconvert"):
        return found
    try:
        import sumo
    except ImportError:
        sys.exit("netconvert is not installed: pip install eclipse-sumo")
    return str(Path(sumo.SUMO_HOME) / "bin" / "netconvert")


def without_preamble(text: str) -> str:
    """A network without the comment that says when, where and from which files it was made."""
    start = text.index("<!--")
    return text[:start].rstrip() + "\n" + text[text.index("<net ") :]


# --- the map as plain XML -------------------------------------------------------------------------


def write_plain(site_map: SiteMap, folder: Path) -> list[str]:
    """Write nodes, edges and connections; the options that tell netconvert about them."""
    lanes = {lane.id: lane for lane in site_map.lanes if lane.kind is LaneKind.VEHICLE}
    legs = edges_of(lanes.values())
    inside = [lane for lane in lanes.values() if lane.role is LaneRole.CONNECTION]
    place = {lane.id: (edge, index) for edge, row in legs.items() for index, lane in enumerate(row)}
    ends = [lane.centreline[-1 if lane.role is LaneRole.ENTRY else 0] for row in legs.values()
            for lane in row]  # fmt: skip
    nodes, edges, connections = (ET.Element(name) for name in ("nodes", "edges", "connections"))
    signals = any(lane.signal_group is not None for lane in inside)
    x, y = np.mean(ends, axis=0)
    _add(nodes, "node", id="junction", x=x, y=y, shape=_shape(_hull(np.array(ends))),
         type="traffic_light" if signals else "priority")  # fmt: skip
    for edge, row in legs.items():
        entry = row[0].role is LaneRole.ENTRY
        far, out = (0, BEFORE) if entry else (-1, BEYOND)
        axis = np.mean([_outward(lane, far) for lane in row], axis=0)
        mouth = np.mean([lane.centreline[far] for lane in row], axis=0)
        _node(nodes, f"{edge}-mouth", mouth)
        _node(nodes, f"{edge}-end", mouth + out * axis)
        names = [f"{edge}-end", f"{edge}-mouth", "junction"]
        inner, outer = names[1:], names[:2]
        if not entry:
            inner, outer = inner[::-1], outer[::-1]
        _edge(edges, edge, inner, row, [lane.centreline for lane in row], [lane.id for lane in row])
        beyond = [np.array([lane.centreline[far], lane.centreline[far] + out * axis])
                  for lane in row]  # fmt: skip
        if entry:
            beyond = [line[::-1] for line in beyond]
        _edge(edges, f"{edge}-far", outer, row, beyond, None)
        pair = (f"{edge}-far", edge) if entry else (edge, f"{edge}-far")
        for index in range(len(row)):
            _add(connections, "connection", **{"from": pair[0]}, to=pair[1],
                 fromLane=index, toLane=index)  # fmt: skip
    for lane in inside:
        before = next(one for one in lanes.values() if lane.id in one.successors)
        (start, from_lane), (end, to_lane) = place[before.id], place[lane.successors[0]]
        element = _add(
            connections, "connection", **{"from": start}, to=end, fromLane=from_lane,
            toLane=to_lane, shape=_shape(lane.centreline), speed=lane.speed_limit or LIMIT,
            length=lane.length, **({} if lane.signal_group or not signals else {"uncontrolled": 1}),
        )  # fmt: skip
        _add(element, "param", key="rsu", value=lane.id)
    options: list[str] = []
    for option, root in (("-n", nodes), ("-e", edges), ("-x", connections)):
        path = folder / f"{root.tag}.xml"
        ET.indent(root)
        ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
        options += [option, str(path)]
    return options


def edges_of(lanes: Iterable[Lane]) -> dict[str, list[Lane]]:
    """Entries and exits by edge: lanes between the same nodes, from the rightmost to the left."""
    found: dict[tuple[object, ...], list[Lane]] = {}
    for lane in lanes:
        if lane.role in (LaneRole.ENTRY, LaneRole.EXIT):
            nodes = (lane.role, lane.upstream_node, lane.downstream_node)
            found.setdefault(nodes if None not in nodes else (lane.id,), []).append(lane)
    return {
        f"{row[0].role.value if row[0].role else 'lane'}-{number}": sorted(row, key=_leftness(row))
        for number, row in enumerate(found.values())
    }


def _leftness(row: Sequence[Lane]) -> Callable[[Lane], float]:
    first = row[0].centreline
    along = first[-1] - first[0]
    left = np.array((-along[1], along[0]))
    return lambda lane: float(lane.centreline[0] @ left)


def _outward(lane: Lane, far: int) -> Floats:
    """Unit vector by which the lane goes on beyond its far end."""
    inner = 1 if far == 0 else -2
    step = lane.centreline[far] - lane.centreline[inner]
    return np.asarray(step / math.hypot(*step))


def _hull(points: Floats) -> Floats:
    """Outline of the junction: the ends of its lanes, around their middle."""
    around = points - points.mean(axis=0)
    return points[np.argsort(-np.arctan2(around[:, 1], around[:, 0]))]


def _node(parent: ET.Element, name: str, at: Floats) -> None:
    _add(parent, "node", id=name, x=at[0], y=at[1], type="priority")


def _edge(
    parent: ET.Element,
    name: str,
    nodes: Sequence[str],
    row: Sequence[Lane],
    lines: Sequence[Floats],
    ids: Sequence[str] | None,
) -> None:
    edge = _add(
        parent, "edge", id=name, **{"from": nodes[0]}, to=nodes[1], numLanes=len(row),
        speed=row[0].speed_limit or LIMIT, shape=_shape(np.mean(lines, axis=0)),
        length=float(np.mean([np.hypot(*np.diff(line, axis=0).T).sum() for line in lines])),
    )  # fmt: skip
    for index, (lane, line) in enumerate(zip(row, lines, strict=True)):
        element = _add(edge, "lane", index=index, width=lane.width,
                       speed=lane.speed_limit or LIMIT, shape=_shape(line))  # fmt: skip
        if ids is not None:
            _add(element, "param", key="rsu", value=ids[index])


def _shape(line: Floats) -> str:
    return " ".join(f"{x:.3f},{y:.3f}" for x, y in line.tolist())


def _add(parent: ET.Element, tag: str, **attributes: object) -> ET.Element:
    texts = {
        key: f"{value:.3f}" if isinstance(value, float) else str(value)
        for key, value in attributes.items()
    }
    return ET.SubElement(parent, tag, texts)


if __name__ == "__main__":
    main()
