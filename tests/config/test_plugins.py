"""Drivers of other packages take part in the site model like our own."""

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field

from rsu.config import plugins
from rsu.config.base import Options
from rsu.config.cameras import SourceOptions
from rsu.config.load import ConfigError, load_site
from rsu.config.model import SiteConfig
from rsu.config.radios import RadioBase

SITE = """\
site:
  id: here
  origin: {latitude: 31, longitude: 121}
cameras:
  - id: north
    source: {driver: acme, gain: 2}
    calibration:
      kind: pose
      image_width: 640
      image_height: 384
      lens: {fx: 320, fy: 320, cx: 320, cy: 192}
      pose: {x: 0, y: 0, z: 8, heading: 90, tilt: 20}
    detector: {driver: motion}
"""


class AcmeOptions(SourceOptions):
    """An option model as another package would bring it."""

    driver: Literal["acme"]
    gain: int = Field(1, ge=1, description="dB.")


class BeaconOptions(RadioBase):
    driver: Literal["beacon"]


class Misnamed(SourceOptions):
    driver: Literal["other"]


class NoSource(Options):
    driver: Literal["acme"]


@pytest.fixture
def install(monkeypatch):
    """Pretend that packages declare these option models: kind → name → object in this module."""

    def declare(**kinds: dict[str, str]) -> None:
        def entry_points(*, group: str) -> list[EntryPoint]:
            declared = kinds.get(group.removeprefix("rsu.options."), {})
            return [EntryPoint(n, f"{__name__}:{value}", group) for n, value in declared.items()]

        monkeypatch.setattr(plugins, "entry_points", entry_points)

    return declare


@pytest.fixture
def load(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def load(text: str):
        Path("s.yaml").write_text(text)
        return load_site(Path("s.yaml"))

    return load


def test_a_foreign_camera_driver_gets_its_validated_options(install, load):
    install(camera={"acme": "AcmeOptions"})
    config = load(SITE)
    assert isinstance(config, SiteConfig)
    assert config.cameras[0].source == AcmeOptions(driver="acme", gain=2)


def test_mistakes_in_foreign_options_are_placed_like_our_own(install, load):
    install(camera={"acme": "AcmeOptions"})
    with pytest.raises(ConfigError) as error:
        load(SITE.replace("gain: 2", "gian: 2"))
    assert str(error.value) == (
        "s.yaml:6:28: cameras[0].source.gian: unknown key (did you mean gain?)"
    )


def test_an_uninstalled_driver_is_unknown_and_installed_ones_are_offered(install, load):
    install(camera={"acme": "AcmeOptions"})
    with pytest.raises(ConfigError, match=r"one of file, images, rtsp, v4l2, sim, acme \(did you"):
        load(SITE.replace("acme", "acmee"))
    install()
    with pytest.raises(ConfigError, match=r"'acme' is not one of file, images, rtsp, v4l2, sim$"):
        load(SITE)


def test_a_foreign_radio_joins_the_list(install, load):
    install(radio={"beacon": "BeaconOptions"})
    text = SITE.replace("acme, gain: 2", "sim")
    config = load(text + "radios: [{id: a, driver: beacon}, {id: b, driver: file, path: f}]\n")
    assert [type(radio).__name__ for radio in config.radios] == [
        "BeaconOptions",
        "FileRadioOptions",
    ]


@pytest.mark.parametrize(
    ("name", "target", "reason"),
    [
        ("acme", "Nothing", "cannot be loaded: AttributeError"),
        ("acme", "Misnamed", "its `driver` is 'other', not 'acme'"),
        ("acme", "NoSource", "is no subclass of SourceOptions"),
        ("acme", "SITE", "is no subclass of SourceOptions"),
        ("file", "AcmeOptions", "the name belongs to a driver of ours"),
    ],
)
def test_a_package_that_does_not_fit_is_named_and_nothing_crashes(
    install, load, name, target, reason
):
    install(camera={name: target})
    with pytest.raises(ConfigError) as error:
        load(SITE)
    assert reason in str(error.value)
    assert f"driver {name!r} of package" in str(error.value)


def test_files_with_our_drivers_only_never_look_for_packages(monkeypatch, load):
    def surprise(*, group: str):
        raise AssertionError(f"looked for {group}")

    monkeypatch.setattr(plugins, "entry_points", surprise)
    assert load(SITE.replace("acme, gain: 2", "sim")).cameras[0].id == "north"
