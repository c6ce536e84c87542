"""Bodies on the id mask: boxes against pixels, order of painting, and every class's shapes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.config.model import SiteConfig
from rsu.schema.sensing import ObjectClass
from rsu.sim.render.light import lighting
from rsu.sim.render.looks import look
from rsu.sim.render.painter import Body, depth_order, paint, project_bodies
from rsu.sim.render.style import Style
from rsu.sim.render.view import View
from rsu.sim.world.scene import CLEAR_DAY

SIZES = {
    ObjectClass.UNKNOWN: (1.0, 1.0, 1.0),
    ObjectClass.PEDESTRIAN: (0.6, 0.6, 1.7),
    ObjectClass.BICYCLE: (1.75, 0.6, 1.7),
    ObjectClass.MOTORCYCLE: (2.1, 0.8, 1.55),
    ObjectClass.CAR: (4.6, 1.82, 1.5),
    ObjectClass.VAN: (5.2, 1.98, 2.2),
    ObjectClass.TRUCK: (8.0, 2.45, 3.2),
    ObjectClass.BUS: (11.2, 2.52, 3.1),
    ObjectClass.ANIMAL: (1.1, 0.4, 0.75),
    ObjectClass.OBSTACLE: (0.8, 0.8, 0.6),
}
STILL = np.zeros(2)


@pytest.fixture(scope="module")
def view(junction: SiteConfig) -> View:
    return View(junction.cameras[0])


def body(
    kind: ObjectClass, x: float, y: float, heading: float, identity: int = 1, phase: int = 2
) -> Body:
    shown = look(1, identity, kind, SIZES[kind][2])
    return Body(
        mesh=shown.mesh(phase),
        palette=shown.palette,
        position=np.array([x, y, 0.0]),
        heading=heading,
        size=np.array(SIZES[kind]),
        light=np.zeros(3),
    )


def painted(view: View, *bodies: Body) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Picture, mask, boxes and (own, seen)."""
    image = np.full((view.height, view.width, 3), 100, dtype=np.uint8)
    mask = np.zeros((view.height, view.width), dtype=np.uint8)
    everywhere = np.tile([0.0, 0.0, float(view.width), float(view.height)], (len(bodies), 1))
    order = depth_order(view, bodies, everywhere)
    polygons = project_bodies(view, bodies, lighting(CLEAR_DAY, Style()), order, STILL)
    free = np.full(mask.shape, np.inf, dtype=np.float32)
    distance = np.array([np.linalg.norm(b.position - view.position) for b in bodies])
    counted = paint(image, mask, polygons, image.copy(), free, distance)
    return image, mask, polygons.boxes, np.array(counted)


@pytest.mark.parametrize("kind", list(SIZES))
@pytest.mark.parametrize("identity", range(1, 7))
def test_a_box_is_what_the_mask_covers(view: View, kind: ObjectClass, identity: int) -> None:
    """Within 1 px at every edge, for every class, several variants, near and far."""
    for away, heading in ((14.0, 0.3), (24.0, 2.0), (45.0, -1.1), (80.0, 4.0)):
        x, y = np.array([16.0, 16.0]) - away * np.sqrt(0.5)
        _, mask, boxes, _ = painted(view, body(kind, x, y, heading, identity))
        rows, columns = np.nonzero(mask)
        extent = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert boxes[0] == pytest.approx(extent, abs=1.0)


@pytest.mark.parametrize("kind", list(SIZES))
def test_a_body_fills_its_size_and_stands_on_the_road(view: View, kind: ObjectClass) -> None:
    """Its box lies inside the projected block's and reaches that block's lower edge."""
    one = body(kind, 2.0, 3.0, 0.5)
    _, _, boxes, _ = painted(view, one)
    half = one.size / 2
    corners = np.array(
        [
            (
                2.0 + x * half[0] * np.cos(0.5) - y * half[1] * np.sin(0.5),
                3.0 + x * half[0] * np.sin(0.5) + y * half[1] * np.cos(0.5),
                z * one.size[2],
            )
            for x in (-1, 1) for y in (-1, 1) for z in (0, 1)
        ]
    )  # fmt: skip
    pixels, _ = view.project(corners)
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    assert (boxes[0, :2] >= low - 1e-6).all()
    assert (boxes[0, 2:] <= high + 1e-6).all()
    # Rounded bodies and strides leave some of a block empty, never half of it.
    assert (boxes[0, 2:] - boxes[0, :2] > 0.5 * (high - low)).all()


@pytest.mark.parametrize("kind", [kind for kind in SIZES if kind is not ObjectClass.UNKNOWN])
def test_a_class_has_several_faces(view: View, kind: ObjectClass) -> None:
    pictures = {painted(view, body(kind, 4.0, 4.0, 0.5, i))[0].tobytes() for i in range(1, 13)}
    meshes = {id(look(1, i, kind, 1.7).mesh(2)) for i in range(1, 40)}
    assert len(pictures) == 12
    assert len(meshes) >= 2


@settings(deadline=None, max_examples=40)
@given(st.floats(-12, 8), st.floats(-12, 8), st.floats(-3, 3), st.floats(0.5, 3.0))
def test_the_nearer_of_two_side_by_side_hides_the_other(
    junction: SiteConfig, x: float, y: float, heading: float, gap: float
) -> None:
    """A pedestrian beside a bus: whoever the line between them puts on the camera's side is
    whole, whatever the distances of the centres say."""
    view = View(junction.cameras[0])
    size = SIZES[ObjectClass.BUS]
    bus = body(ObjectClass.BUS, x, y, heading)
    left = np.array([-np.sin(heading), np.cos(heading)])
    beside = np.array([x, y]) + left * (size[1] / 2 + 0.3 + gap)
    walker = body(ObjectClass.PEDESTRIAN, beside[0], beside[1], 0.0, identity=2)
    own, seen = painted(view, bus, walker)[3]
    eye = float((view.position[:2] - np.array([x, y])) @ left)
    if own[1] and eye > size[1] / 2 + 0.1:
        assert seen[1] == own[1]
    if own[0] and eye < size[1] / 2:
        assert seen[0] == own[0]


def test_a_queue_is_painted_from_far_to_near(view: View) -> None:
    queue = [body(ObjectClass.CAR, 1.8, -12.0 - 7.0 * i, np.pi / 2, i + 1) for i in range(6)]
    everywhere = np.tile([0.0, 0.0, 640.0, 384.0], (6, 1))
    assert depth_order(view, queue, everywhere).tolist() == [5, 4, 3, 2, 1, 0]


def test_every_phase_of_a_walk_stands_on_the_road(view: View) -> None:
    shapes = set()
    for phase in range(-1, 8):
        mesh = look(1, 3, ObjectClass.PEDESTRIAN, 1.7).mesh(phase)
        assert mesh.vertices[:, 2].min() == pytest.approx(0.0)
        assert mesh.vertices[:, 2].max() == pytest.approx(1.0)
        assert np.abs(mesh.vertices[:, :2]).max() <= 0.5 + 1e-9
        shapes.add(mesh.vertices.tobytes())
    assert len(shapes) >= 6


def test_meshes_look_outwards() -> None:
    """Faces turn counter-clockwise as seen from outside their own part."""
    for kind in SIZES:
        for identity in range(1, 9):
            mesh = look(1, identity, kind, 1.7).mesh(1)
            a, b, c = (mesh.vertices[mesh.faces[:, i]] for i in range(3))
            normal = np.cross(b - a, c - a)
            assert (np.linalg.norm(normal, axis=1) > 0).all()
            outward = np.einsum("ij,ij->i", normal, a - mesh.centres[mesh.part])
            assert (outward >= -1e-9).all()
