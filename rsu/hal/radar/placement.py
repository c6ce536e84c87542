"""From a radar's own frame into the site frame, uncertainties included.

In: points, velocities and covariances as the radar measures them (x along its axis, y to the left,
or radial and tangential), and how it is mounted. Out: the same east-north. What is uncertain about
the mounting itself (heading, position) and about where on the object a radar puts its point is
added here, once for every driver. Pure.
"""

from __future__ import annotations

import math

from rsu.config.radars import RadarBase
from rsu.schema.units import Cov2, Vec2
from rsu.site.geodesy import enu_heading, wrap_angle

TOO_FAST = 100.0
"""m/s; 360 km/h: no road user moves faster, a decoder's mistake does."""


class Placement:
    """How one radar hangs."""

    def __init__(self, options: RadarBase) -> None:
        mount = options.mount
        self.axis = enu_heading(mount.heading)
        self.origin = Vec2(mount.x, mount.y)
        self.max_range = options.max_range
        self._side = -1.0 if mount.flipped else 1.0
        self._heading_var = math.radians(mount.heading_std) ** 2
        self._fixed_var = mount.position_std**2 + options.reference_std**2

    def point(self, forward: float, left: float) -> Vec2:
        """Site position of a point at the radar, m."""
        turned = self.vector(forward, left)
        return Vec2(self.origin.x + turned.x, self.origin.y + turned.y)

    def vector(self, forward: float, left: float) -> Vec2:
        """Site direction of a vector at the radar."""
        cos, sin = math.cos(self.axis), math.sin(self.axis)
        left *= self._side
        return Vec2(forward * cos - left * sin, forward * sin + left * cos)

    def heading(self, angle: float) -> float:
        """Site heading, rad, of an angle from the axis, rad, positive to the left."""
        return wrap_angle(self.axis + self._side * angle)

    def cartesian_cov(self, forward_std: float, left_std: float) -> Cov2:
        """Covariance of independent errors along the radar's axes."""
        return _turned(forward_std**2, left_std**2, self.axis)

    def polar_cov(self, at: Vec2, radial_std: float, tangential_std: float) -> Cov2:
        """Covariance of independent errors along and across the line of sight to `at`."""
        bearing = math.atan2(at.y - self.origin.y, at.x - self.origin.x)
        return _turned(radial_std**2, tangential_std**2, bearing)

    def with_mounting(self, at: Vec2, cov: Cov2) -> Cov2:
        """A position's covariance with that of the mounting and of the point on the object."""
        dx, dy, var = at.x - self.origin.x, at.y - self.origin.y, self._heading_var
        return Cov2(
            cov.xx + self._fixed_var + dy * dy * var,
            cov.xy - dx * dy * var,
            cov.yy + self._fixed_var + dx * dx * var,
        )

    def turned_velocity_cov(self, velocity: Vec2, cov: Cov2) -> Cov2:
        """A velocity's covariance with that of the mounting's heading."""
        var = self._heading_var
        return Cov2(
            cov.xx + velocity.y**2 * var,
            cov.xy - velocity.x * velocity.y * var,
            cov.yy + velocity.x**2 * var,
        )

    def refusal(self, at: Vec2, velocity: Vec2) -> str | None:
        """Why an object cannot be, None where it can."""
        if math.hypot(at.x - self.origin.x, at.y - self.origin.y) > self.max_range:
            return "out_of_range"
        if math.hypot(velocity.x, velocity.y) > TOO_FAST:
            return "implausible_speed"
        return None


def _turned(along: float, across: float, angle: float) -> Cov2:
    cos, sin = math.cos(angle), math.sin(angle)
    return Cov2(
        along * cos * cos + across * sin * sin,
        (along - across) * cos * sin,
        along * sin * sin + across * cos * cos,
    )
