"""One camera as the renderer needs it: site points → pixels of the drawn image, lens included.

Pixels are continuous: an image covers [0, width] × [0, height], the first pixel's centre is 0.5.
Points are projected through the calibration's matrix and then through the lens; far outside the
image, where a lens polynomial folds back, the distortion is frozen at the edge of its range.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rsu.config.cameras import CameraOptions, HomographyCalibration, SimSourceOptions
from rsu.perception.camera_model import camera_model
from rsu.perception.errors import CalibrationError
from rsu.sim.errors import SimulationError

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

NEAR = 0.3
"""m in front of the lens nearer than which nothing is drawn."""
_HORIZON = 1e-4
"""Slope below the horizon from which a pixel sees ground: 80 km away from 8 m up."""
REACH = 1.4
"""Radius, as a share of the image corners', up to which the lens model is trusted."""


class View:
    """Projection of one calibrated camera into an image of `width` × `height` px."""

    def __init__(self, camera: CameraOptions) -> None:
        """Raises SimulationError for a homography, or where calibration and source disagree."""
        calibration = camera.calibration
        if isinstance(calibration, HomographyCalibration):
            raise SimulationError(
                f"camera {camera.id!r}: a homography knows only the road's plane; to render it, "
                "calibrate with kind pose or matrix"
            )
        try:
            self.model = camera_model(calibration)
        except CalibrationError as error:
            raise SimulationError(f"camera {camera.id!r}: {error}") from error
        source = camera.source
        drawn = isinstance(source, SimSourceOptions)
        self.width = source.width if isinstance(source, SimSourceOptions) else self.model.width
        self.height = source.height if isinstance(source, SimSourceOptions) else self.model.height
        scale = (self.width / self.model.width, self.height / self.model.height)
        if drawn and abs(scale[0] / scale[1] - 1.0) > 0.01:
            raise SimulationError(
                f"camera {camera.id!r}: {self.width}×{self.height} px has another shape than the "
                f"calibration's {self.model.width}×{self.model.height} px"
            )
        self._scale = np.array(scale)
        self.position = self.model.position
        assert self.model.lens is not None
        self.focal = float(self.model.lens.matrix[1, 1]) * scale[1]
        projection = self.model.projection
        # The third row's first three entries are the optical axis, whatever the row's scale.
        self._depth_scale = 1.0 / float(np.linalg.norm(projection[2, :3]))
        self.forward = projection[2, :3] * self._depth_scale
        self._limit = self._lens_limit()

    def homogeneous(self, points: Floats) -> Floats:
        """(N, 3): ideal pixel times depth, and depth in m, of site points (N, 3)."""
        projection = self.model.projection
        rows: Floats = (points @ projection[:, :3].T + projection[:, 3]) * self._depth_scale
        return rows

    def pixels(self, homogeneous: Floats) -> Floats:
        """Pixels (N, 2) of what `homogeneous` gave, all of it in front of the camera."""
        ideal = homogeneous[:, :2] / homogeneous[:, 2:]
        pixels: Floats = self._measured(ideal) * self._scale
        return pixels

    def project(self, points: Floats) -> tuple[Floats, Floats]:
        """Pixels (N, 2) and depths (N,), m, of site points (N, 3); behind the camera the pixel
        means nothing."""
        rows = self.homogeneous(points)
        safe = rows.copy()
        safe[:, 2] = np.maximum(rows[:, 2], NEAR)
        return self.pixels(safe), rows[:, 2]

    def ground(self, factor: int) -> tuple[Floats, Bools, Floats]:
        """Ground (H·W·factor², 2) under every sub-pixel centre, whether it sees any, and the
        direction's upward slope (tangent of elevation) for the sky."""
        height, width = self.height * factor, self.width * factor
        u = (np.arange(width) + 0.5) / factor / self._scale[0]
        v = (np.arange(height) + 0.5) / factor / self._scale[1]
        pixels = np.stack(np.meshgrid(u, v), axis=-1).reshape(-1, 2)
        ideal, _ = self.model.ideal(pixels)
        # The ray of a pixel in site axes, and where it meets z = 0.
        back = np.linalg.inv(self.model.projection[:, :3]).T
        ray = ideal @ back[:2] + back[2]
        flat = np.hypot(ray[:, 0], ray[:, 1])
        slope = ray[:, 2] / np.maximum(flat, 1e-9)
        seen = slope < -_HORIZON
        reach = np.where(seen, -self.position[2] / np.where(seen, ray[:, 2], 1.0), 0.0)
        ground = self.position[:2] + ray[:, :2] * reach[:, np.newaxis]
        return ground, seen, slope

    def _measured(self, ideal: Floats) -> Floats:
        model = self.model
        if not model.distorts or len(ideal) == 0:
            return ideal
        assert model.lens is not None
        centre = np.array([model.lens.matrix[0, 2], model.lens.matrix[1, 2]])
        offset = ideal - centre
        radius = np.hypot(offset[:, 0], offset[:, 1])
        beyond = np.maximum(radius / self._limit, 1.0)[:, np.newaxis]
        inside = model.lens.measured(centre + offset / beyond)
        measured: Floats = centre + (inside - centre) * beyond
        return measured

    def _lens_limit(self) -> float:
        """Radius in ideal px up to which distortion is asked for."""
        model = self.model
        if not model.distorts:
            return np.inf
        assert model.lens is not None
        corners = np.array(
            [(x, y) for x in (0.0, model.width / 2, model.width) for y in (0.0, model.height)],
            dtype=np.float64,
        )
        ideal, covered = model.lens.ideal(corners)
        centre = np.array([model.lens.matrix[0, 2], model.lens.matrix[1, 2]])
        points = ideal[covered] if covered.any() else corners
        return REACH * float(np.hypot(*(points - centre).T).max())
