"""How well previews hide heads and number plates, against the truth of rendered streets.

    python -m tools.measure_privacy [--bursts 8] [--show FOLDER] [--clip FILE]

Every scenario plays bursts of half a second at 10 pictures a second, as the memory of the masks
wants; the last picture of each counts. Heads and plates are where the simulated bodies carry them;
one counts when at least half of its body is visible, nothing nearer lies before it and it is inside
the picture. `covered`: at least 90 % of its rectangle is masked. With `--clip` a real video is
played instead and its pictures are saved to be looked at: it has no truth.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from rsu.config.cameras import CameraOptions
from rsu.config.privacy import PrivacyOptions
from rsu.config.simulation import SimulationOptions
from rsu.perception.detector import load_detector
from rsu.perception.preview import Previews
from rsu.perception.privacy import CELL_M
from rsu.schema.frame import CameraFrame
from rsu.schema.preview import Masking
from rsu.schema.sensing import ObjectClass
from rsu.schema.units import NS_PER_S, Instant
from rsu.sim.render.renderer import Picture, Renderer
from rsu.sim.render.style import Style
from rsu.sim.render.view import View
from rsu.sim.world.scene import CLEAR_DAY, Light, Scene, Weather, stream
from rsu.sim.world.world import World
from rsu.site.lanes import SiteMap
from tools.detector.dataset import example_junction
from tools.detector.maps import drawn_map
from tools.detector.scenes import camera_at, drawn_camera, drawn_scene

SEED = 661_907
ROOT = Path(__file__).resolve().parents[1]
START_NS = 1_735_689_600 * NS_PER_S
WARM_UP_NS, BETWEEN_NS, FRAME_NS, BURST = 60 * NS_PER_S, 9 * NS_PER_S, NS_PER_S // 10, 6
HEAD_M = 0.25
"""Height of head with hair or helmet: the figures' own (0.26 m of a walker of 1.68 m)."""
PLATE_M, PLATE_HEIGHT_M, PLATE_AT_M = 0.44, 0.14, 0.55
"""GA 36: 440 × 140 mm; height above the road assumed."""
SIZES = ((0.0, 4.0), (4.0, 8.0), (8.0, 1e9))
"""px of the preview by which heads are told apart: below 4 px resolution alone hides them."""

Floats = npt.NDArray[np.float64]
Image = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Scenario:
    """`place`: junction (the demo's cameras), close (one 5 m up with a longer lens), invented."""

    name: str
    place: str
    weather: Weather = CLEAR_DAY


SCENARIOS = (
    Scenario("demo cameras, day", "junction"),
    Scenario("demo cameras, dusk", "junction", Weather(Light.DUSK)),
    Scenario("demo cameras, night rain", "junction", Weather(Light.NIGHT, 0.6)),
    Scenario("close camera, day", "close"),
    Scenario("close camera, dusk", "close", Weather(Light.DUSK)),
    Scenario("close camera, night", "close", Weather(Light.NIGHT)),
    Scenario("invented places, day", "invented"),
    Scenario("invented places, rain", "invented", Weather(Light.DAY, 0.6)),
    Scenario("invented places, fog", "invented", Weather(Light.DAY, 0.0, 300.0)),
    Scenario("invented places, night", "invented", Weather(Light.NIGHT)),
)


@dataclass
class Tally:
    """Counts of one scenario."""

    pictures: int = 0
    heads: dict[int, list[bool]] = field(default_factory=lambda: defaultdict(list))
    plates: list[bool] = field(default_factory=list)
    exposed_px: list[float] = field(default_factory=list)
    plate_px: list[float] = field(default_factory=list)
    cells: list[float] = field(default_factory=list)
    masked: list[float] = field(default_factory=list)
    on_nobody: list[float] = field(default_factory=list)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--bursts", type=int, default=8, help="per scenario")
    parser.add_argument("--show", type=Path, help="folder for pictures")
    parser.add_argument("--clip", type=Path, help="a video instead of the scenarios")
    parser.add_argument("--model", default="rsu_roadside")
    options = parser.parse_args()
    if options.show:
        options.show.mkdir(parents=True, exist_ok=True)
    if options.clip:
        _clip(options.clip, options.model, options.show or Path())
        return
    tallies = {}
    for scenario in SCENARIOS:
        tallies[scenario.name] = _measure(scenario, options.bursts, options.model, options.show)
        print(_row(scenario.name, tallies[scenario.name]), flush=True)
    everything = Tally()
    for one in tallies.values():
        everything.pictures += one.pictures
        for size, hits in one.heads.items():
            everything.heads[size] += hits
        for name in ("plates", "plate_px", "exposed_px", "cells", "masked", "on_nobody"):
            getattr(everything, name).extend(getattr(one, name))
    print(_row("all", everything))


def _row(name: str, one: Tally) -> str:
    heads = "  ".join(
        f"{sum(one.heads[i])}/{len(one.heads[i])}={_share(one.heads[i])}" for i in range(len(SIZES))
    )
    return (
        f"{name:<28} heads <4, 4-8, >8 px: {heads}  plates {sum(one.plates)}/{len(one.plates)}"
        f"={_share(one.plates)}  widest face shown {max(one.cells, default=0.0):.1f} cells, "
        f"largest exposed: head {max(one.exposed_px, default=0.0):.1f} px, "
        f"plate {max(one.plate_px, default=0.0):.1f} px  "
        f"masked {np.mean(one.masked):.3f} of the picture, on nobody {np.mean(one.on_nobody):.3f}"
    )


def _share(hits: list[bool]) -> str:
    return f"{sum(hits) / len(hits):.3f}" if hits else "-"


def _measure(scenario: Scenario, bursts: int, model: str, show: Path | None) -> Tally:
    tally = Tally()
    for number in range(bursts):
        camera, site_map, seed, scenes = _burst(scenario, number)
        camera = _with_detector(camera, model)
        renderer = Renderer(camera, site_map, seed, style=_style(scenario, seed))
        previews = Previews(camera, PrivacyOptions(), load_detector(camera, ROOT))
        for index, scene in enumerate(scenes):
            picture = renderer.render(scene, scenario.weather)
            frame = CameraFrame(camera.id, index, scene.time_ns, picture.image)
            previews.look(frame, Instant(scene.time_ns, scene.time_ns))
        blocks = previews.blocks(picture.image)
        assert blocks is not None
        _count(tally, camera, scene, picture, blocks)
        if show is not None:
            shown, _ = previews.picture(picture.image)
            both = np.vstack((picture.image, shown))
            cv2.imwrite(str(show / f"{scenario.name.replace(' ', '-')}-{number}.png"), both)
    return tally


def _burst(scenario: Scenario, number: int) -> tuple[CameraOptions, SiteMap, int, list[Scene]]:
    rng = stream(SEED, f"{scenario.name}/{number}")
    seed = int(rng.integers(1 << 30))
    times = [START_NS + WARM_UP_NS + number * BETWEEN_NS + i * FRAME_NS for i in range(BURST)]
    if scenario.place == "invented":
        site_map = drawn_map(rng)
        camera = drawn_camera(rng, site_map)
        return camera, site_map, seed, list(_walked(drawn_scene(rng, site_map, camera, 0), times))
    site_map = example_junction()
    world = World(
        site_map,
        SimulationOptions(vehicles_per_hour=1600, pedestrians_per_hour=1500),
        seed % 1000,
        START_NS,
    )
    side = 1 if number % 2 else -1
    if scenario.place == "close":
        camera = camera_at(
            x=side * 13.0, y=side * 13.0, z=5.0, tilt=14.0, roll=0.0, focal=640.0,
            azimuth=math.radians(225.0 if side > 0 else 45.0),
        )  # fmt: skip
    else:  # the two cameras of configs/junction.yaml
        camera = camera_at(
            x=side * 16.0, y=side * 16.0, z=8.0, tilt=20.0, roll=0.0, focal=320.0,
            azimuth=math.radians(225.0 if side > 0 else 45.0),
        )  # fmt: skip
    scenes = []
    for time_ns in times:
        world.advance(time_ns)
        scenes.append(world.scene(time_ns))
    return camera, site_map, seed, scenes


def _walked(scene: Scene, times: list[int]) -> Iterator[Scene]:
    """Placed road users that go on as they went."""
    along = np.column_stack((np.cos(scene.heading), np.sin(scene.heading)))
    for time_ns in times:
        tau = (time_ns - times[-1]) / NS_PER_S
        yield Scene(
            time_ns=time_ns,
            ids=scene.ids,
            classes=scene.classes,
            position=scene.position + tau * scene.speed[:, np.newaxis] * along,
            heading=scene.heading,
            speed=scene.speed,
            size=scene.size,
        )


def _style(scenario: Scenario, seed: int) -> Style:
    if scenario.place != "invented":
        return Style()
    return Style.drawn(np.random.default_rng(seed))


def _with_detector(camera: CameraOptions, model: str) -> CameraOptions:
    plain = camera.model_dump(mode="json")
    plain["detector"] = {"driver": "onnx", "model": model}
    return CameraOptions.model_validate(plain)


def _count(
    tally: Tally,
    camera: CameraOptions,
    scene: Scene,
    picture: Picture,
    blocks: npt.NDArray[np.uint8],
) -> None:
    view = View(camera)
    tally.pictures += 1
    hidden = blocks > 0
    somebody = np.zeros_like(hidden)
    for left, top, right, bottom in picture.boxes.tolist():
        somebody[int(top) : math.ceil(bottom), int(left) : math.ceil(right)] = True
    tally.masked.append(float(hidden.mean()))
    tally.on_nobody.append(float((hidden & ~somebody).mean()))
    rows = {identity: row for row, identity in enumerate(scene.ids)}
    away = np.hypot(*(scene.position - view.position[:2]).T)
    order = [rows[identity] for identity in picture.ids]
    for index, row in enumerate(order):
        if picture.visible[index] < 0.5:
            continue
        nearer = [
            picture.boxes[i] for i, other in enumerate(order) if away[other] < away[row] - 0.1
        ]
        kind = scene.classes[row]
        if kind.is_vru:
            rectangle = _rectangle(view, _head(scene, row))
            if _shows(rectangle, nearer, view):
                tall = rectangle[3] - rectangle[1]
                size = next(i for i, (low, high) in enumerate(SIZES) if low <= tall < high)
                good = _covered(hidden, rectangle)
                tally.heads[size].append(good)
                if not good:
                    tally.exposed_px.append(tall)
                    # As wide as a face in what the picture shows, at most px or CELL_M.
                    tally.cells.append(min(0.14 / CELL_M, tall / HEAD_M * 0.14))
        elif kind.is_motor:
            for corners, facing in _plates(scene, row, view):
                rectangle = _rectangle(view, corners)
                if facing and _shows(rectangle, nearer, view):
                    good = _covered(hidden, rectangle)
                    tally.plates.append(good)
                    if not good:
                        tally.plate_px.append(rectangle[2] - rectangle[0])


def _head(scene: Scene, row: int) -> Floats:
    """The corners of a cube around a head: on top of the body, riders' a little forward."""
    x, y = scene.position[row]
    heading, top = scene.heading[row], scene.size[row, 2]
    forward = 0.0 if scene.classes[row] is ObjectClass.PEDESTRIAN else 0.05
    x, y = x + forward * math.cos(heading), y + forward * math.sin(heading)
    half = HEAD_M / 2
    return np.array(
        [(x + i, y + j, top - k) for i in (-half, half) for j in (-half, half) for k in (0, HEAD_M)]
    )


def _plates(scene: Scene, row: int, view: View) -> Iterator[tuple[Floats, bool]]:
    """Corners of the plates at both ends, and whether each faces the camera."""
    heading, (length, _, _) = scene.heading[row], scene.size[row]
    along = np.array([math.cos(heading), math.sin(heading)])
    across = np.array([-along[1], along[0]])
    for end in (1, -1):
        middle = scene.position[row] + end * length / 2 * along
        corners = np.array(
            [
                (*(middle + side * PLATE_M / 2 * across), PLATE_AT_M + up)
                for side in (-1, 1)
                for up in (0.0, PLATE_HEIGHT_M)
            ]
        )
        to_camera = view.position[:2] - middle
        facing = float(to_camera @ along) * end > 0.2 * float(np.hypot(*to_camera))
        yield corners, facing


def _rectangle(view: View, corners: Floats) -> tuple[float, float, float, float]:
    pixels, depth = view.project(corners)
    if (depth < 0.5).any():
        return (-1.0, -1.0, -1.0, -1.0)
    (left, top), (right, bottom) = pixels.min(axis=0), pixels.max(axis=0)
    return float(left), float(top), float(right), float(bottom)


def _shows(rectangle: tuple[float, float, float, float], nearer: list[Floats], view: View) -> bool:
    left, top, right, bottom = rectangle
    if left < 0 or top < 0 or right > view.width or bottom > view.height:
        return False
    area = max((right - left) * (bottom - top), 1e-9)
    for other in nearer:
        wide = min(right, other[2]) - max(left, other[0])
        high = min(bottom, other[3]) - max(top, other[1])
        if wide > 0 and high > 0 and wide * high > 0.5 * area:
            return False
    return True


def _covered(hidden: npt.NDArray[np.bool_], rectangle: tuple[float, float, float, float]) -> bool:
    left, top, right, bottom = rectangle
    part = hidden[int(top) : math.ceil(bottom), int(left) : math.ceil(right)]
    return bool(part.size) and float(part.mean()) >= 0.9


def _clip(path: Path, model: str, folder: Path) -> None:
    """Previews of a real video, one a second, beside what the camera saw."""
    video = cv2.VideoCapture(str(path))
    rate = video.get(cv2.CAP_PROP_FPS) or 25.0
    previews: Previews | None = None
    index = 0
    while True:
        good, read = video.read()
        if not good:
            break
        image: Image = np.asarray(read, dtype=np.uint8)
        height, width = image.shape[:2]
        if previews is None:
            camera = _with_detector(_somewhere(width, height), model)
            previews = Previews(camera, PrivacyOptions(), load_detector(camera, ROOT))
        time_ns = round(index / rate * NS_PER_S)
        previews.look(CameraFrame("clip", index, time_ns, image), Instant(time_ns, time_ns))
        if index % max(1, round(rate / 2)) == 0:
            shown, masking = previews.picture(image)
            small = cv2.resize(image, (shown.shape[1], shown.shape[0]))
            target = folder / f"{path.stem}-{index:04d}-{masking.value}.png"
            cv2.imwrite(str(target), np.hstack((small, shown)))
            assert masking is not Masking.NONE
        index += 1
    video.release()
    print(f"{path.name}: {index} frames, pictures in {folder}")


def _somewhere(width: int, height: int) -> CameraOptions:
    """An assumed calibration: 8 m up, 35° down, 60° wide."""
    plain = camera_at(
        x=0.0, y=0.0, z=8.0, azimuth=0.0, tilt=35.0, roll=0.0,
        focal=width / 2 / math.tan(math.radians(30.0)),
    ).model_dump(mode="json")  # fmt: skip
    plain["calibration"] |= {"image_width": width, "image_height": height}
    plain["calibration"]["lens"] |= {"cx": width / 2, "cy": height / 2}
    plain["source"] |= {"width": width, "height": height}
    return CameraOptions.model_validate(plain)


if __name__ == "__main__":
    main()
