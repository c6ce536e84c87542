"""The example junction, loaded once; worlds and streams are made fresh by each test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rsu.config.cameras import ModelledDetectorOptions
from rsu.config.load import load_site
from rsu.config.model import SiteConfig
from rsu.config.simulation import SimulationOptions
from rsu.sim.source import simulated_map
from rsu.sim.world.world import World
from rsu.site.lanes import SiteMap

START_NS = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z


@pytest.fixture(scope="session")
def rendered_junction(root: Path) -> SiteConfig:
    """The example junction as it is: rendered cameras, our own detector."""
    return load_site(root / "configs" / "junction.yaml")


@pytest.fixture(scope="session")
def junction(rendered_junction: SiteConfig) -> SiteConfig:
    """The example junction with modelled detections: no pixels, no model."""
    modelled = ModelledDetectorOptions(driver="modelled")
    cameras = tuple(
        camera.model_copy(update={"detector": modelled}) for camera in rendered_junction.cameras
    )
    return rendered_junction.model_copy(update={"cameras": cameras})


@pytest.fixture(scope="session")
def junction_map(root: Path, junction: SiteConfig) -> SiteMap:
    return simulated_map(junction, root / "configs")


@pytest.fixture
def make_world(junction_map: SiteMap) -> Callable[..., World]:
    """A world at the example junction; keywords are simulation options and `seed`."""

    def make(seed: int = 1, **options: float) -> World:
        return World(junction_map, SimulationOptions(**options), seed, START_NS)

    return make
