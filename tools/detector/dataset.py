"""Rendered pictures on disk: drawn once by all cores, read by training as one memory-mapped array.

A folder holds `images.npy` (N, H, W, 3) uint8 BGR, written shoot by shoot, and one `shoot-*.npz`
per shoot with the boxes of its pictures; so an interrupted rendering goes on where it stopped.
What a picture shows depends on the seed and its number alone. 0.7 MB a picture.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rsu.schema.sensing import ObjectClass
from rsu.sim.render.renderer import Picture, Renderer
from rsu.sim.render.style import Style
from rsu.sim.world.scene import stream
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import SiteMap, load_site_map
from tools.detector.maps import drawn_map
from tools.detector.scenes import CLASSES, HEIGHT, WIDTH, drawn_camera, drawn_scene, drawn_weather

Floats = npt.NDArray[np.float64]

SHOT, CAMERAS = 20, 5
"""Pictures and cameras per shoot, each camera in a weather of its own: painting a new place costs
as much as 40 pictures of it, a further camera as much as 10."""
_PLAIN_SHARE = 0.15  # of shoots in the renderer's default style, the one that the demo has
_JUNCTION_SHARE = 0.2  # of shoots at the example junction; the rest at invented places
_STEP_NS = 1_000_000_007  # a second and a bit between two pictures, so that grain and rain differ


@dataclass(frozen=True, eq=False)
class Labels:
    """Objects of one picture: `boxes` (M, 4) px, `labels` (M,) into CLASSES, `visible` (M,)."""

    boxes: Floats
    labels: npt.NDArray[np.int64]
    visible: Floats


@dataclass(frozen=True, eq=False)
class Dataset:
    """`images` (N, H, W, 3) and their labels, N alike."""

    images: npt.NDArray[np.uint8]
    labels: list[Labels]


def labels_of(picture: Picture) -> Labels:
    """The picture's objects that the network has a class for."""
    rows = [i for i, kind in enumerate(picture.classes) if kind in CLASSES]
    return Labels(
        picture.boxes[rows],
        np.array([CLASSES.index(picture.classes[i]) for i in rows], dtype=np.int64),
        picture.visible[rows],
    )


def discernible(image: npt.NDArray[np.uint8], labels: Labels) -> Labels:
    """The labels with `visible` 0.03 for what is lost in darkness or fog.

    An object that no one could point at teaches only to guess: its box, widened by a quarter, has
    after smoothing a spread of less than 2.5 grey levels (the noise left is about 1).
    """
    import cv2

    grey = cv2.blur(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), (5, 5))
    visible = labels.visible.copy()
    for row, (left, top, right, bottom) in enumerate(labels.boxes.tolist()):
        dx, dy = (right - left) / 8, (bottom - top) / 8
        part = grey[
            max(0, int(top - dy)) : int(bottom + dy) + 1,
            max(0, int(left - dx)) : int(right + dx) + 1,
        ]
        if part.std() < 2.5:
            visible[row] = min(visible[row], 0.03)
    return Labels(labels.boxes, labels.labels, visible)


def render_all(folder: Path, seed: int, count: int, processes: int) -> Iterator[int]:
    """Render what is still missing of `count` pictures; yields how many are there so far."""
    folder.mkdir(parents=True, exist_ok=True)
    shoots = -(-count // SHOT)
    path = folder / "images.npy"
    if not path.exists():
        shape = (shoots * SHOT, HEIGHT, WIDTH, 3)
        np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape).flush()
    missing = [n for n in range(shoots) if not _shoot_file(folder, n).exists()]
    done = shoots - len(missing)
    yield done * SHOT
    jobs = [(folder, seed, number) for number in missing]
    if processes == 1:
        for job in jobs:
            _render_shoot(job)
            done += 1
            yield done * SHOT
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for _ in pool.imap_unordered(_render_shoot, jobs):
            done += 1
            yield done * SHOT


def load_dataset(folder: Path, count: int) -> Dataset:
    """The first `count` pictures of a folder that `render_all` filled."""
    images = np.load(folder / "images.npy", mmap_mode="r")
    labels: list[Labels] = []
    for number in range(-(-count // SHOT)):
        with np.load(_shoot_file(folder, number)) as stored:
            boxes, kinds, visible = stored["boxes"], stored["labels"], stored["visible"]
            ends = np.cumsum(stored["counts"])
        for start, end in zip(np.concatenate(([0], ends[:-1])), ends, strict=True):
            labels.append(Labels(boxes[start:end], kinds[start:end], visible[start:end]))
    return Dataset(images[:count], labels[:count])


def example_junction() -> SiteMap:
    """The map of the simulated demo, configs/junction.yaml."""
    configs = Path(__file__).resolve().parents[2] / "configs"
    return load_site_map(
        LocalFrame(31.0, 121.0, 10.0),  # as in configs/junction.yaml
        configs / "junction-lanes.geojson",
        configs / "junction-zones.geojson",
    )


def _render_shoot(job: tuple[Path, int, int]) -> None:
    """One camera's pictures into their rows of `images.npy`, then their labels."""
    import cv2

    cv2.setNumThreads(1)  # a process per core already
    folder, seed, number = job
    rng = stream(seed, f"train/{number}")
    site_map = example_junction() if rng.random() < _JUNCTION_SHARE else drawn_map(rng)
    style = Style() if rng.random() < _PLAIN_SHARE else Style.drawn(rng)
    place = int(rng.integers(1 << 30))
    images = np.lib.format.open_memmap(folder / "images.npy", mode="r+")
    found = []
    for index in range(SHOT):
        if index % (SHOT // CAMERAS) == 0:
            camera, weather = drawn_camera(rng, site_map), drawn_weather(rng)
            renderer = Renderer(camera, site_map, place, style=style)
        row = number * SHOT + index
        picture = renderer.render(drawn_scene(rng, site_map, camera, row * _STEP_NS), weather)
        images[row] = picture.image
        found.append(discernible(picture.image, labels_of(picture)))
    images.flush()
    part = folder / f"part-{number}.npz"
    np.savez(
        part,
        boxes=np.concatenate([one.boxes for one in found]).astype(np.float32),
        labels=np.concatenate([one.labels for one in found]),
        visible=np.concatenate([one.visible for one in found]).astype(np.float32),
        counts=np.array([len(one.labels) for one in found]),
    )
    part.rename(_shoot_file(folder, number))  # whole or not at all


def _shoot_file(folder: Path, number: int) -> Path:
    return folder / f"shoot-{number:05d}.npz"


def class_counts(dataset: Dataset) -> dict[ObjectClass, int]:
    """How often each class occurs."""
    total = np.bincount(
        np.concatenate([one.labels for one in dataset.labels]), minlength=len(CLASSES)
    )
    return dict(zip(CLASSES, total.tolist(), strict=True))
