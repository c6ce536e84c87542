"""What moves before a learnt background is found; light and noise are not."""

from __future__ import annotations

import numpy as np
import pytest

from rsu.config.cameras import MotionDetectorOptions, Region
from rsu.perception.motion_detector import MotionDetector
from rsu.schema.sensing import ObjectClass

WIDTH, HEIGHT = 320, 240


def scene(random: np.random.Generator, *squares: tuple[int, int, int], light: int = 0):
    image = random.normal(100 + light, 2, (HEIGHT, WIDTH, 3))
    for x, y, side in squares:
        image[y : y + side, x : x + side] = 220
    return image.clip(0, 255).astype(np.uint8)


def learnt(**changes) -> tuple[MotionDetector, np.random.Generator]:
    options = MotionDetectorOptions(driver="motion", warm_up=20, **changes)
    detector = MotionDetector(options, (WIDTH, HEIGHT))
    random = np.random.default_rng(1)
    for _ in range(20):
        assert detector.detect(scene(random), ()) == ()
    return detector, random


def test_a_moving_object_is_found_where_it_is_and_its_class_is_unknown() -> None:
    detector, random = learnt()
    for x in (40, 80, 120):
        (found,) = detector.detect(scene(random, (x, 100, 40)), ())
        assert found.object_class is ObjectClass.UNKNOWN
        assert 0.6 < found.score <= 1.0
        box = found.box
        assert (box.left, box.top, box.right, box.bottom) == pytest.approx(
            (x, 100, x + 40, 140), abs=4
        )
    assert not detector.stateless


def test_an_empty_scene_and_its_noise_hold_nothing() -> None:
    detector, random = learnt()
    assert [detector.detect(scene(random), ()) for _ in range(10)] == [()] * 10


def test_nothing_is_believed_while_warming_up() -> None:
    options = MotionDetectorOptions(driver="motion", warm_up=20)
    detector = MotionDetector(options, (WIDTH, HEIGHT))
    random = np.random.default_rng(1)
    for number in range(20):
        assert detector.detect(scene(random, (10 * number, 100, 40)), ()) == ()


def test_a_small_blob_is_ignored() -> None:
    detector, random = learnt(min_area=400)
    (found,) = detector.detect(scene(random, (40, 40, 10), (200, 100, 40)), ())
    assert found.box.left == pytest.approx(200, abs=4)


def test_a_change_of_light_says_nothing() -> None:
    detector, random = learnt()
    assert detector.detect(scene(random, (40, 100, 40), light=90), ()) == ()


def test_only_regions_count() -> None:
    detector, random = learnt()
    regions = (Region(left=160, top=0, width=160, height=240),)
    (found,) = detector.detect(scene(random, (40, 100, 40), (200, 100, 40)), regions)
    assert found.box.left == pytest.approx(200, abs=4)


def test_a_large_image_is_searched_small_and_reported_large() -> None:
    options = MotionDetectorOptions(driver="motion", warm_up=10)
    detector = MotionDetector(options, (1280, 960))
    random = np.random.default_rng(1)

    def large(*squares):
        return scene(random, *squares).repeat(4, axis=0).repeat(4, axis=1)

    for _ in range(10):
        detector.detect(large(), ())
    (found,) = detector.detect(large((40, 100, 40)), ())
    box = found.box
    assert (box.left, box.top, box.right, box.bottom) == pytest.approx((160, 400, 320, 560), abs=16)


def test_a_new_image_size_starts_anew() -> None:
    detector, random = learnt()
    assert detector.detect(scene(random, (40, 100, 40))[:200], ()) == ()
