"""`rsu doctor` finds what is wrong, says what to do, and needs no device."""

from __future__ import annotations

import getpass
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rsu.config.model import SiteConfig
from rsu.runtime import doctor
from rsu.runtime.doctor import Finding

SITE: dict[str, Any] = {"site": {"id": "aisle", "origin": {"latitude": 31.0, "longitude": 121.0}}}


def found(base: Path, area: str, **sections: Any) -> list[Finding]:
    config = SiteConfig.model_validate({**SITE, **sections})
    findings = [one for one in doctor.examine_site(config, base) if one.area == area]
    for one in findings:
        assert one.ok or one.fix, one  # what is not fine says what to do
    return findings


def test_a_site_without_devices_is_examined_with_one_exit_code(
    rsu: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(
        "site: {id: aisle, origin: {latitude: 31.0, longitude: 121.0, altitude: 10.0}}\n",
        encoding="utf-8",
    )
    done = rsu("doctor", site, "--json")
    report = json.loads(done.stdout)
    areas = {one["area"] for one in report["findings"]}
    assert {"python", "libraries", "processor", "clock", "disk", "unit"} <= areas
    assert report["ok"] == all(one["ok"] is not False for one in report["findings"])
    assert done.returncode == (0 if report["ok"] else 1)
    assert not list(tmp_path.glob(".rsu-doctor*"))  # nothing is left behind
    assert [one.name for one in tmp_path.iterdir()] == ["site.yaml"]


def test_a_wrong_site_file_is_a_finding_with_its_line(
    rsu: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    site = tmp_path / "site.yaml"
    site.write_text("site: {id: aisle}\ncameras: 7\n", encoding="utf-8")
    done = rsu("doctor", site)
    assert done.returncode == 1
    assert "✘ site file" in done.stdout
    assert "site.yaml:2:10" in done.stdout


def test_secrets_that_others_can_read_and_secrets_that_are_missing(tmp_path: Path) -> None:
    (tmp_path / "open").write_text("secret", encoding="ascii")
    (tmp_path / "open").chmod(0o644)
    (tmp_path / "closed").write_text("secret", encoding="ascii")
    (tmp_path / "closed").chmod(0o600)
    seen = {}
    for name in ("open", "closed", "gone"):
        uplink = {"host": "127.0.0.1", "port": 1, "username": "u", "password_file": name}
        [seen[name]] = found(tmp_path, "secrets", uplink=uplink)
    assert [seen[name].ok for name in ("open", "closed", "gone")] == [False, True, False]
    assert "chmod 600" in seen["open"].fix


def test_a_folder_that_is_no_folder_and_a_quota_beyond_the_disk(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    [bad, _audit] = found(tmp_path, "disk", recording={"folder": "file/recordings"})
    assert bad.ok is False
    [big, _audit] = found(
        tmp_path, "disk", recording={"folder": "recordings", "keep_bytes": 10**18}
    )
    assert big.ok is None
    assert "quota" in big.fix


def test_devices_that_are_not_there(tmp_path: Path) -> None:
    gnss = [
        {"id": "receiver", "driver": "nmea", "link": {"kind": "serial", "path": "/dev/ttyNONE"}}
    ]
    [serial] = found(tmp_path, "devices", gnss=gnss)
    assert (serial.ok, "/dev/ttyNONE" in serial.text) == (False, True)


def test_ports_that_another_program_has(tmp_path: Path, free_port: int) -> None:
    runtime = {"metrics_port": free_port, "socket_folder": str(tmp_path / "run")}
    [free] = found(tmp_path, "ports", runtime=runtime)
    assert free.ok
    with socket.socket() as other:
        other.bind(("127.0.0.1", free_port))
        other.listen()
        [taken] = found(tmp_path, "ports", runtime=runtime)
    assert taken.ok is False


@contextmanager
def listening(mosquitto: Path, folder: Path, port: int, lines: str) -> Iterator[None]:
    config = folder / "mosquitto.conf"
    user = f"user {getpass.getuser()}" if os.geteuid() == 0 else ""
    config.write_text(f"{user}\nlistener {port} 127.0.0.1\n{lines}\n", encoding="utf-8")
    with subprocess.Popen([mosquitto, "-c", config], stderr=subprocess.DEVNULL) as broker:
        try:
            deadline = time.monotonic() + 30
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    assert time.monotonic() < deadline, "no broker"
                    assert broker.poll() is None, "the broker ended"
            yield
        finally:
            broker.terminate()


@pytest.mark.parametrize(
    ("certificate", "ok", "says"),
    [("server", None, "29 days left"), ("expired", False, "tls_expired")],
)
def test_the_brokers_certificate_and_its_days(
    mosquitto: Path,
    tls_lines: Callable[..., str],
    certificates: Path,
    tmp_path: Path,
    free_port: int,
    certificate: str,
    ok: bool | None,
    says: str,
) -> None:
    uplink = {"host": "localhost", "port": free_port, "tls": {"ca_file": f"{certificates}/ca.pem"}}
    with listening(mosquitto, tmp_path, free_port, tls_lines(certificate)):
        [broker] = found(tmp_path, "broker", uplink=uplink)
    assert broker.ok is ok
    assert says in broker.text.replace("30 days", "29 days")  # to the second of its making
    assert "renew" in broker.fix


def test_a_broker_of_another_ca_and_one_that_is_not_there(
    mosquitto: Path,
    tls_lines: Callable[..., str],
    certificates: Path,
    tmp_path: Path,
    free_port: int,
) -> None:
    tls = {"ca_file": f"{certificates}/other.pem"}
    uplink = {"host": "localhost", "port": free_port, "tls": tls}
    with listening(mosquitto, tmp_path, free_port, tls_lines()):
        [wrong] = found(tmp_path, "broker", uplink=uplink)
    assert (wrong.ok, "tls_untrusted" in wrong.text) == (False, True)
    [absent] = found(tmp_path, "broker", uplink=uplink)
    assert (absent.ok, "refused" in absent.text) == (False, True)


def test_a_model_that_is_not_the_one_of_its_card(tmp_path: Path, root: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    card = (root / "models" / "rsu_roadside.yaml").read_bytes()
    (models / "rsu_roadside.yaml").write_bytes(card)
    (models / "rsu_roadside.onnx").write_bytes(b"something else")
    camera = {
        "id": "north",
        "source": {"driver": "sim"},
        "calibration": {
            "kind": "pose", "image_width": 640, "image_height": 384,
            "lens": {"fx": 320, "fy": 320, "cx": 320, "cy": 192},
            "pose": {"x": 0, "y": 0, "z": 8, "heading": 0, "tilt": 20},
        },
        "detector": {"driver": "onnx", "model": "rsu_roadside"},
    }  # fmt: skip
    [swapped] = found(tmp_path, "model", cameras=[camera])
    assert (swapped.ok, "sha256" in swapped.text) == (False, True)
    [true] = found(root / "configs", "model", cameras=[camera])
    assert (true.ok, "matches its card" in true.text) == (True, True)


def test_a_check_that_fails_does_not_hide_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_config: SiteConfig, _base: Path) -> Iterator[Finding]:
        raise RuntimeError("boom")
        yield

    monkeypatch.setattr(doctor, "_models", broken)
    config = SiteConfig.model_validate(SITE)
    findings = list(doctor.examine_site(config, tmp_path))
    assert any(one.ok is False and "boom" in one.text for one in findings)
    assert any(one.area == "disk" for one in findings)
