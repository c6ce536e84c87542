"""What the graph tells its stages of the site."""

from pathlib import Path

import numpy as np
import pytest

from rsu.config.cameras import RotationCalibration
from rsu.config.load import load_site
from rsu.perception.camera_model import camera_model
from rsu.runtime.graph import viewpoints

SITE = Path(__file__).resolve().parents[2] / "configs" / "junction.yaml"


def test_cameras_hang_where_their_calibrations_say() -> None:
    config = load_site(SITE)
    found = viewpoints(config)
    assert set(found) == {camera.id for camera in config.cameras}
    for camera in config.cameras:
        assert found[camera.id] == pytest.approx(camera_model(camera.calibration).position)


def test_a_matrix_tells_where_the_camera_hangs() -> None:
    config = load_site(SITE)
    camera = config.cameras[0]
    # Looks down the north axis from (3, −4, 7): x right = east, y down = −up, z forward = north.
    turn = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    shift = -turn @ np.array([3.0, -4.0, 7.0])
    calibration = RotationCalibration(
        kind="matrix", image_width=1280, image_height=720, lens=camera.calibration.lens,
        extrinsic=tuple(map(tuple, np.column_stack((turn, shift)).tolist())),
    )  # fmt: skip
    moved = camera.model_copy(update={"calibration": calibration})
    found = viewpoints(config.model_copy(update={"cameras": (moved,)}))
    assert found[camera.id] == pytest.approx((3.0, -4.0, 7.0))
