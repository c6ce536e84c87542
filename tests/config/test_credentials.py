"""Secrets that systemd hands to the service are found in its folder, and missed nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from rsu.config.check import check_site
from rsu.config.load import load_site

SITE = """\
site: {id: aisle, origin: {latitude: 31.0, longitude: 121.0, altitude: 10.0}}
uplink:
  host: broker.example
  port: 8883
  username: aisle
  password_file: $CREDENTIALS_DIRECTORY/mqtt-password
  tls: {}
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(SITE, encoding="utf-8")
    return path


def password_file(site: Path) -> Path | None:
    uplink = load_site(site).uplink
    assert uplink is not None
    return uplink.password_file


def test_in_the_service_the_folder_is_systemds(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    assert password_file(site) == tmp_path / "credentials" / "mqtt-password"
    assert [problem.path for problem in check_site(site).errors] == ["uplink.password_file"]
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "mqtt-password").touch(mode=0o400)
    assert check_site(site).problems == ()


def test_elsewhere_nobody_can_tell_and_it_is_no_error(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert str(password_file(site)) == "$CREDENTIALS_DIRECTORY/mqtt-password"
    assert check_site(site).problems == ()
