"""What the filter is given: every sensor message checked and turned into arrays."""

import math

import msgspec
import numpy as np
import pytest

from rsu.fusion import readings
from rsu.fusion.classes import CLASSES
from rsu.fusion.measurements import scan_from_camera, scan_from_radar
from rsu.schema.sensing import (
    CameraDetection,
    CameraDetections,
    ObjectClass,
    RadarObject,
    RadarObjects,
)
from rsu.schema.units import Box, Cov2, Size, Vec2

GOOD = Cov2(1.0, 0.2, 0.5)
CAR_SIZE = Size(4.5, 1.8, 1.5)


def camera(*items: tuple[Vec2, Cov2, float, Size]) -> CameraDetections:
    return CameraDetections(
        sensor="north", frame=7, capture_ns=123, image_width=100, image_height=100,
        detections=tuple(
            CameraDetection(
                object_class=ObjectClass.CAR, score=score, box=Box(0, 0, 1, 1),
                position=position, position_cov=cov, size=size,
            )
            for position, cov, score, size in items
        ),
    )  # fmt: skip


def radar(*items: RadarObject) -> RadarObjects:
    return RadarObjects(sensor="mast", cycle=3, capture_ns=456, objects=items)


def test_a_camera_frame_becomes_arrays() -> None:
    scan, refused = scan_from_camera(camera((Vec2(3.0, 4.0), GOOD, 0.8, CAR_SIZE)))
    assert refused == {}
    assert scan.key == (123, "north", 7)
    assert scan.position.tolist() == [[3.0, 4.0]]
    floor = readings.LEAST_STD**2
    assert scan.position_cov[0] == pytest.approx(np.array([[1 + floor, 0.2], [0.2, 0.5 + floor]]))
    assert CLASSES[scan.class_index[0]] is ObjectClass.CAR
    assert scan.score.tolist() == [0.8]
    assert scan.size.tolist() == [[4.5, 1.8, 1.5]]
    assert scan.velocity is None


def test_boxes_behind_nearer_boxes_and_weak_boxes_are_believed_less() -> None:
    place = (Vec2(3.0, 4.0), Cov2(1.0, 0.0, 1.0), 0.9, CAR_SIZE)
    message = camera(place, place, place, (*place[:2], 0.25, CAR_SIZE))
    # The first stands free, the second covers the upper half of nothing but the third's lower half.
    boxes = (Box(0, 0, 10, 10), Box(50, 15, 20, 20), Box(50, 5, 20, 20), Box(80, 0, 9, 9))
    detections = tuple(
        msgspec.structs.replace(one, box=box, constant_cov=Cov2(0.1, 0.0, 0.1))
        for one, box in zip(message.detections, boxes, strict=True)
    )
    scan, _ = scan_from_camera(msgspec.structs.replace(message, detections=detections))
    added = scan.position_cov[:, 0, 0] - readings.LEAST_STD**2 - 1.0
    # √(4.5 · 1.8) m · 0.7 · one half, at most 0.35 of it; 1.05 · (0.75 − 0.25) of it.
    assert added == pytest.approx([0.0, 0.0, 8.1 * 0.35**2, 8.1 * 0.525**2], abs=1e-9)
    assert scan.position_cov[:, 1, 1] == pytest.approx(scan.position_cov[:, 0, 0])
    assert scan.constant_cov[:, 0, 0] == pytest.approx(0.1 + 0.3 * added)


def test_a_radar_cycle_brings_velocities_and_its_own_existence() -> None:
    item = RadarObject(
        object_id=1, position=Vec2(1, 2), position_cov=GOOD, velocity=Vec2(5, -6),
        velocity_cov=GOOD, existence=0.9,
    )  # fmt: skip
    mute = RadarObject(
        object_id=2, position=Vec2(1, 2), position_cov=GOOD, velocity=Vec2(0, 0), velocity_cov=GOOD
    )
    scan, refused = scan_from_radar(radar(item, mute))
    assert refused == {}
    assert scan.velocity is not None
    assert scan.velocity.tolist() == [[5.0, -6.0], [0.0, 0.0]]
    assert scan.score.tolist() == [0.9, 0.5]
    assert np.isnan(scan.size).all()


@pytest.mark.parametrize(
    ("part", "kept"),
    [
        (None, [[0.0, 0.0], [0.0, 0.0]]),
        (Cov2(0.4, 0.1, 0.2), [[0.4, 0.1], [0.1, 0.2]]),
        (Cov2(1.1, 0.1, 0.2), [[0.0, 0.0], [0.0, 0.0]]),  # more than the whole
        (Cov2(0.4, 0.9, 0.2), [[0.0, 0.0], [0.0, 0.0]]),  # no covariance
        (Cov2(math.nan, 0.1, 0.2), [[0.0, 0.0], [0.0, 0.0]]),
    ],
)
def test_the_standing_error_is_taken_when_it_is_a_part_of_the_whole(
    part: Cov2 | None, kept: list[list[float]]
) -> None:
    plain = camera((Vec2(0, 0), GOOD, 0.8, CAR_SIZE))
    detection = msgspec.structs.replace(plain.detections[0], constant_cov=part)
    scan, refused = scan_from_camera(msgspec.structs.replace(plain, detections=(detection,)))
    assert scan.constant_cov.tolist() == [kept]
    assert refused == {}


def test_an_empty_frame_is_an_empty_scan() -> None:
    scan, refused = scan_from_camera(camera())
    assert (len(scan), scan.position.shape, scan.position_cov.shape) == (0, (0, 2), (0, 2, 2))
    assert refused == {}


@pytest.mark.parametrize(
    ("position", "cov", "reason"),
    [
        (Vec2(math.nan, 0), GOOD, "not_finite"),
        (Vec2(0, math.inf), GOOD, "not_finite"),
        (Vec2(0, 0), Cov2(math.nan, 0, 1), "not_finite"),
        (Vec2(1e300, 0), GOOD, "position_out_of_range"),
        (Vec2(0, 0), Cov2(-1.0, 0, 1), "covariance_not_positive"),
        (Vec2(0, 0), Cov2(1.0, 1.1, 1), "covariance_not_positive"),
        (Vec2(0, 0), Cov2(1e200, 1e200, 1e200), "covariance_too_large"),
        (Vec2(0, 0), Cov2(51.0**2, 0, 1), "covariance_too_large"),
    ],
)
def test_unusable_measurements_are_refused_with_the_reason(
    position: Vec2, cov: Cov2, reason: str
) -> None:
    scan, refused = scan_from_camera(
        camera((position, cov, 0.5, CAR_SIZE), (Vec2(0, 0), GOOD, 0.5, CAR_SIZE))
    )
    assert refused == {reason: 1}
    assert len(scan) == 1


def test_an_impossible_radar_velocity_is_refused() -> None:
    item = RadarObject(
        object_id=1, position=Vec2(0, 0), position_cov=GOOD, velocity=Vec2(151, 0),
        velocity_cov=GOOD,
    )  # fmt: skip
    assert scan_from_radar(radar(item))[1] == {"velocity_out_of_range": 1}


def test_a_rank_one_covariance_is_made_regular() -> None:
    scan, _ = scan_from_camera(camera((Vec2(0, 0), Cov2(4.0, 2.0, 1.0), 0.8, CAR_SIZE)))
    assert np.linalg.eigvalsh(scan.position_cov[0])[0] >= 0.9 * readings.LEAST_STD**2


@pytest.mark.parametrize(
    "size", [Size(0, 1, 1), Size(math.nan, 1, 1), Size(1, math.nan, 1), Size(1, 1, 1e9)]
)
def test_an_absurd_size_counts_as_not_measured(size: Size) -> None:
    scan, refused = scan_from_camera(camera((Vec2(0, 0), GOOD, 0.5, size)))
    assert np.isnan(scan.size).all()
    assert refused == {}


@pytest.mark.parametrize(("score", "kept"), [(0.0, 0.01), (1.0, 0.99), (-3.0, 0.01), (0.4, 0.4)])
def test_scores_never_are_certainties(score: float, kept: float) -> None:
    scan, _ = scan_from_camera(camera((Vec2(0, 0), GOOD, score, CAR_SIZE)))
    assert scan.score.tolist() == [kept]


def test_a_flood_is_cut() -> None:
    item = (Vec2(0, 0), GOOD, 0.5, CAR_SIZE)
    scan, refused = scan_from_camera(camera(*[item] * (readings.MAX_MEASUREMENTS + 5)))
    assert len(scan) == readings.MAX_MEASUREMENTS
    assert refused == {"too_many_measurements": 5}
