"""Rendered pictures: the same bytes again, what is drawn where, and light and weather."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from rsu.config.cameras import CameraOptions, HomographyCalibration
from rsu.config.model import SiteConfig
from rsu.schema.sensing import ObjectClass
from rsu.sim.errors import SimulationError
from rsu.sim.render.renderer import Picture, Renderer
from rsu.sim.render.style import Style
from rsu.sim.world.scene import CLEAR_DAY, Light, Scene, Weather
from rsu.sim.world.world import World
from rsu.site.lanes import SiteMap

QUIET = Style(noise=0.0, jpeg_quality=0, drift=0.0)
SIZES = {
    ObjectClass.PEDESTRIAN: (0.6, 0.6, 1.7),
    ObjectClass.CAR: (4.6, 1.8, 1.5),
    ObjectClass.TRUCK: (8.0, 2.45, 3.2),
}

# The camera stands at (16, 16), 8 m up, and looks south-west.
AHEAD = np.array([-np.sqrt(0.5), -np.sqrt(0.5)])


def spot(away: float, aside: float = 0.0) -> tuple[float, float]:
    """A place on the road, m away from the mast along the view and to its right."""
    right = np.array([-np.sqrt(0.5), np.sqrt(0.5)])
    x, y = np.array([16.0, 16.0]) + away * AHEAD + aside * right
    return float(x), float(y)


def scene(
    *objects: tuple[ObjectClass, tuple[float, float], float], time_ns: int = 0, first: int = 1
) -> Scene:
    """Objects standing at (class, place, heading)."""
    count = len(objects)
    return Scene(
        time_ns=time_ns,
        ids=tuple(range(first, first + count)),
        classes=tuple(kind for kind, _, _ in objects),
        position=np.array([place for _, place, _ in objects], dtype=np.float64).reshape(-1, 2),
        heading=np.array([heading for _, _, heading in objects], dtype=np.float64),
        speed=np.zeros(count),
        size=np.array([SIZES[kind] for kind, _, _ in objects], np.float64).reshape(-1, 3),
    )


EMPTY = scene()


@pytest.fixture(scope="module")
def camera(junction: SiteConfig) -> CameraOptions:
    return junction.cameras[0]


@pytest.fixture(scope="module")
def renderer(camera: CameraOptions, junction_map: SiteMap) -> Renderer:
    return Renderer(camera, junction_map, 1)


@pytest.fixture(scope="module")
def quiet(camera: CameraOptions, junction_map: SiteMap) -> Renderer:
    """Without noise, drift and compression."""
    return Renderer(camera, junction_map, 1, style=QUIET)


def test_same_bytes_from_a_fresh_renderer_in_any_order(
    renderer: Renderer,
    camera: CameraOptions,
    junction_map: SiteMap,
    make_world: Callable[..., World],
) -> None:
    world = make_world(seed=4)
    start = world.now_ns
    world.advance(start + 60_000_000_000)
    crowd = world.scene(world.now_ns)
    rain = Weather(light=Light.NIGHT, rain=0.5)
    first = [renderer.render(crowd), renderer.render(crowd, rain)]
    other = Renderer(camera, junction_map, 1)
    second = [other.render(crowd, rain), other.render(crowd)][::-1]
    for one, two in zip(first, second, strict=True):
        assert one.ids
        assert one.ids == two.ids
        assert one.image.tobytes() == two.image.tobytes()
        assert one.boxes.tobytes() == two.boxes.tobytes()
        assert one.visible.tobytes() == two.visible.tobytes()


def test_another_seed_another_world(
    quiet: Renderer, camera: CameraOptions, junction_map: SiteMap
) -> None:
    one = quiet.render(EMPTY).image
    two = Renderer(camera, junction_map, 2, style=QUIET).render(EMPTY).image
    assert (one != two).any()


def test_picture_has_the_form_of_the_source(renderer: Renderer) -> None:
    picture = renderer.render(scene((ObjectClass.CAR, spot(20.0), 0.3)))
    assert picture.image.shape == (384, 640, 3)
    assert picture.image.dtype == np.uint8
    assert picture.boxes.shape == (1, 4)
    assert picture.ids == (1,)
    assert picture.classes == (ObjectClass.CAR,)
    assert picture.visible.tolist() == [1.0]


def test_an_empty_scene_is_the_background_and_noise(renderer: Renderer, quiet: Renderer) -> None:
    early, late = renderer.render(EMPTY), renderer.render(scene(time_ns=1_000_000_000))
    assert early.ids == ()
    assert early.boxes.shape == (0, 4)
    assert early.visible.shape == (0,)
    assert (early.image != late.image).mean() > 0.3  # the noise is another one
    difference = early.image.astype(np.int16) - late.image
    assert 0.5 < difference.std() < 6.0
    assert (quiet.render(EMPTY).image == quiet.render(scene(time_ns=1_000_000_000)).image).all()


def test_only_the_box_and_the_shadow_change(quiet: Renderer) -> None:
    """An object touches pixels inside its box, and around it only darkens the road."""
    place = scene((ObjectClass.CAR, spot(22.0), 0.4))
    picture = quiet.render(place)
    before, after = quiet.render(EMPTY).image.astype(int), picture.image.astype(int)
    changed = (np.abs(after - before) > 6).any(axis=2)
    left, top, right, bottom = picture.boxes[0].round().astype(int)
    assert changed[top:bottom, left:right].mean() > 0.5
    outside = changed.copy()
    outside[top - 2 : bottom + 2, left - 2 : right + 2] = False
    assert (after[outside] <= before[outside] + 6).all()


def test_behind_the_camera_and_beside_the_image_nothing_is_drawn(quiet: Renderer) -> None:
    behind = (ObjectClass.TRUCK, spot(-30.0), 0.0)
    beside = (ObjectClass.CAR, spot(5.0, 60.0), 0.0)
    picture = quiet.render(scene(behind, beside))
    assert picture.ids == ()
    assert (picture.image == quiet.render(EMPTY).image).all()


def test_rows_keep_the_order_of_the_scene(quiet: Renderer) -> None:
    far, near = (ObjectClass.CAR, spot(50.0), 0.0), (ObjectClass.PEDESTRIAN, spot(15.0, 5.0), 0.0)
    hidden = (ObjectClass.CAR, spot(-40.0), 0.0)
    picture = quiet.render(scene(far, hidden, near))
    assert picture.ids == (1, 3)
    assert picture.classes == (ObjectClass.CAR, ObjectClass.PEDESTRIAN)
    assert picture.boxes[0, 3] < picture.boxes[1, 3]


def test_a_truck_hides_a_pedestrian(quiet: Renderer) -> None:
    across = np.pi / 4 + np.pi / 2
    walker = (ObjectClass.PEDESTRIAN, spot(30.0), 0.0)
    alone = quiet.render(scene(walker))
    behind = quiet.render(scene(walker, (ObjectClass.TRUCK, spot(26.0), across)))
    before = quiet.render(scene(walker, (ObjectClass.TRUCK, spot(34.5), across)))
    assert alone.visible[0] == 1.0
    assert behind.visible[0] < 0.2
    assert before.visible[0] == 1.0 > before.visible[1]
    assert (behind.boxes[0] == alone.boxes[0]).all()


def test_a_body_across_the_camera_plane_is_cut_not_lost(quiet: Renderer) -> None:
    """Beside the mast a truck reaches behind the camera; what is in the image stays finite."""
    picture = quiet.render(scene((ObjectClass.TRUCK, spot(6.0), np.pi / 4)))
    assert picture.ids == (1,)
    left, top, right, bottom = picture.boxes[0]
    assert 0.0 <= left < right <= 640.0
    assert 0.0 <= top < bottom <= 384.0
    assert bottom == 384.0


def _contrast(picture: Picture, empty: Picture) -> float:
    left, top, right, bottom = picture.boxes[0].round().astype(int)
    window = np.s_[top:bottom, left:right]
    return float(np.abs(picture.image[window].astype(int) - empty.image[window]).mean())


def test_fog_takes_contrast_with_distance(quiet: Renderer) -> None:
    fog = Weather(visibility=100.0)
    left = []
    for away in (15.0, 35.0, 60.0):
        place = scene((ObjectClass.TRUCK, spot(away), 0.7))
        clear = _contrast(quiet.render(place), quiet.render(EMPTY))
        thick = _contrast(quiet.render(place, fog), quiet.render(EMPTY, fog))
        left.append(thick / clear)
    assert left[0] > left[1] > left[2]
    # Koschmieder: 5 % of the contrast is left at the visibility, so some 17 % at 60 m.
    assert left[2] < 0.4


def test_night_is_dark_and_headlamps_are_bright(quiet: Renderer) -> None:
    towards = np.pi / 4  # the camera looks south-west, the car comes north-east
    place = scene((ObjectClass.CAR, spot(25.0), towards))
    day, night = quiet.render(place), quiet.render(place, Weather(light=Light.NIGHT))
    dusk = quiet.render(place, Weather(light=Light.DUSK))
    assert night.image.mean() < dusk.image.mean() < day.image.mean()
    assert night.image.mean() < 0.6 * day.image.mean()
    left, top, right, bottom = night.boxes[0].round().astype(int)
    assert night.image[top:bottom, left:right].min(axis=2).max() > 200
    away = quiet.render(scene((ObjectClass.CAR, spot(25.0), towards + np.pi)),
                        Weather(light=Light.NIGHT))  # fmt: skip
    left, top, right, bottom = away.boxes[0].round().astype(int)
    rear = away.image[top:bottom, left:right].astype(int)
    assert (rear[..., 2] - rear[..., 1]).max() > 80  # tail lamps are red


def test_rain_draws_streaks_that_move(quiet: Renderer) -> None:
    rain = Weather(rain=0.8)
    one, two = quiet.render(EMPTY, rain), quiet.render(scene(time_ns=100_000_000), rain)
    assert (one.image != two.image).mean() > 0.02
    assert quiet.render(EMPTY, rain).image.std() < quiet.render(EMPTY, CLEAR_DAY).image.std()


def test_a_look_stays_with_its_id(
    quiet: Renderer, junction: SiteConfig, junction_map: SiteMap
) -> None:
    place = spot(22.0)
    red = [quiet.render(scene((ObjectClass.CAR, place, 0.4), first=i)).image for i in (1, 1, 2)]
    assert (red[0] == red[1]).all()
    assert (red[0] != red[2]).any()
    # The other camera, another renderer: the same colours on the same object.
    opposite = Renderer(junction.cameras[1], junction_map, 1, style=QUIET)
    one = quiet._looks[(1, ObjectClass.CAR)]
    opposite.render(scene((ObjectClass.CAR, (0.0, 0.0), 0.4)))
    other = opposite._looks[(1, ObjectClass.CAR)]
    assert (one.palette == other.palette).all()
    assert one.mesh(-1) is other.mesh(-1)


def test_a_walker_moves_its_legs(quiet: Renderer) -> None:
    def walking(shift: float) -> Picture:
        place = scene((ObjectClass.PEDESTRIAN, spot(14.0 - shift, 0.0), np.pi / 4))
        return quiet.render(Scene(**{**place.__dict__, "speed": np.array([1.3])}))

    shapes = {
        tuple(np.round(np.diff(walking(s).boxes[0].reshape(2, 2), axis=0)[0], 1))
        for s in np.linspace(0.0, 1.2, 7)
    }
    assert len(shapes) > 3


def test_static_things_hide_what_is_behind_them(
    camera: CameraOptions, junction_map: SiteMap
) -> None:
    lush = Renderer(
        camera, junction_map, 1, style=Style(noise=0, jpeg_quality=0, building_density=2.5)
    )
    everywhere = [spot(float(a), float(b)) for a in range(40, 140, 6) for b in range(-90, 91, 6)]
    picture = lush.render(scene(*((ObjectClass.CAR, place, 0.0) for place in everywhere)))
    alone = [
        lush.render(scene((ObjectClass.CAR, everywhere[i - 1], 0.0))).visible[0]
        for i in picture.ids[::9]
    ]
    assert min(alone) < 0.3
    assert max(alone) == 1.0


def test_the_junction_itself_is_never_hidden(camera: CameraOptions, junction_map: SiteMap) -> None:
    for seed in range(2):
        lush = Renderer(camera, junction_map, seed, style=Style(building_density=2.0))
        for x in (-8.0, 0.0, 8.0):
            for y in (-8.0, 0.0, 8.0):
                picture = lush.render(scene((ObjectClass.PEDESTRIAN, (x, y), 0.0)))
                assert picture.visible.tolist() in ([], [1.0])


def test_lens_distortion_moves_picture_and_boxes(
    camera: CameraOptions, junction_map: SiteMap, quiet: Renderer
) -> None:
    calibration = camera.calibration
    assert calibration.kind == "pose"
    lens = calibration.lens.model_copy(update={"distortion": (-0.12, 0.01, 0.0, 0.0)})
    bent = camera.model_copy(update={"calibration": calibration.model_copy(update={"lens": lens})})
    renderer = Renderer(bent, junction_map, 1, style=QUIET)
    place = scene((ObjectClass.CAR, spot(20.0, 14.0), 0.4), (ObjectClass.CAR, spot(21.5), 0.4))
    straight, barrel = quiet.render(place), renderer.render(place)
    centre = np.array([320.0, 192.0])

    def radius(picture: Picture, row: int) -> float:
        box = picture.boxes[row].reshape(2, 2)
        return float(np.hypot(*(box.mean(axis=0) - centre)))

    assert radius(barrel, 0) < radius(straight, 0) - 5.0
    assert abs(radius(barrel, 1) - radius(straight, 1)) < 2.0
    # The background bends along: the pixels under the object's box still are the object's.
    assert _contrast(barrel, renderer.render(EMPTY)) > 10.0


def test_a_homography_is_refused(camera: CameraOptions, junction_map: SiteMap) -> None:
    points = [((100, 200), (0, 0)), ((500, 200), (10, 0)), ((500, 350), (10, 9)),
              ((100, 350), (0, 9))]  # fmt: skip
    flat = HomographyCalibration.model_validate(
        {
            "kind": "homography",
            "image_width": 640,
            "image_height": 384,
            "points": [{"image": i, "ground": g} for i, g in points],
        }
    )
    with pytest.raises(SimulationError, match="homography"):
        Renderer(camera.model_copy(update={"calibration": flat}), junction_map, 1)


def test_any_drawn_style_renders(camera: CameraOptions, junction_map: SiteMap) -> None:
    place = scene((ObjectClass.CAR, spot(20.0), 0.4))
    means = set()
    for seed in range(2):
        style = Style.drawn(np.random.default_rng(seed))
        assert style == Style.drawn(np.random.default_rng(seed))
        picture = Renderer(camera, junction_map, seed, style=style).render(place)
        assert picture.ids == (1,)
        means.add(round(float(picture.image.mean()), 1))
    assert len(means) == 2
