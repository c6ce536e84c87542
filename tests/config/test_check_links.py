"""Ports that two drivers would listen on, and files that devices need: told with their line."""

from __future__ import annotations

from pathlib import Path

import pytest

from rsu.config.check import check_site

PLACE = "site: {id: s, origin: {latitude: 31, longitude: 121}}\n"
TSCBM = (
    "  - {{id: {id}, driver: tscbm, intersection: 1, listen_host: {host}, listen_port: {port}}}\n"
)
WEATHER = """environment:
  - {{id: mast, driver: mqtt, host: broker.example, topic: w, {more},
     mapping: {{time: {{format: arrival}}, quantities: [{{kind: rain, value: {{path: r}}}}]}}}}
"""


def said(folder: Path, text: str) -> list[str]:
    path = folder / "s.yaml"
    path.write_text(PLACE + text)
    return [str(one).split(": ", 1)[1] for one in check_site(path).problems]


@pytest.mark.parametrize(
    ("first", "second", "clash"),
    [
        (("127.0.0.1", 6053), ("127.0.0.1", 6053), True),
        (("0.0.0.0", 6053), ("127.0.0.1", 6053), True),
        (("127.0.0.1", 6053), ("127.0.0.2", 6053), False),
        (("127.0.0.1", 6053), ("127.0.0.1", 6054), False),
    ],
)
def test_two_listeners_of_one_port(
    tmp_path: Path, first: tuple[str, int], second: tuple[str, int], clash: bool
) -> None:
    lines = "signals:\n" + "".join(
        TSCBM.format(id=name, host=host, port=port)
        for name, (host, port) in (("a", first), ("b", second))
    )
    problems = [line for line in said(tmp_path, lines) if "listen_port" in line]
    expected = ["signals[1].listen_port: signal 'a' listens there already"]
    assert problems == (expected if clash else [])


def test_a_radio_and_a_controller_cannot_share_a_port(tmp_path: Path) -> None:
    lines = "signals:\n" + TSCBM.format(id="a", host="127.0.0.1", port=7000)
    lines += "radios: [{id: r, driver: udp, host: h, port: 1, listen_port: 7000}]\n"
    assert "radios[0].listen_port: signal 'a' listens there already" in said(tmp_path, lines)


def test_a_dialect_of_a_radar_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "ours.dbc").write_text("")
    lines = (
        "radars: [{id: r, driver: ars408, database: our.dbc,"
        " mount: {x: 0, y: 0, z: 1.2, heading: 0}}]\n"
    )
    problems = [line for line in said(tmp_path, lines) if "database" in line]
    assert problems == [
        "radars[0].database: there is no CAN database 'our.dbc' (did you mean ours.dbc?)"
    ]


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ("tls: {ca_file: ca.pem}", "environment[0].tls.ca_file: there is no CA bundle 'ca.pem'"),
        (
            "tls: {cert_file: here.pem}",
            "environment[0].tls: a client certificate needs key_file too",
        ),
        (
            "tls: {key_file: open.key, cert_file: here.pem}",
            "warning: environment[0].tls.key_file: 'open.key' can be read by others"
            " (mode 0644; 0600 is right)",
        ),
        (
            "tls: {}, password_file: here.pem",
            "environment[0].password_file: a password without username is not sent",
        ),
    ],
)
def test_files_of_a_broker_behind_tls(tmp_path: Path, more: str, problem: str) -> None:
    for name, mode in (("here.pem", 0o600), ("open.key", 0o644)):
        (tmp_path / name).write_text("x")
        (tmp_path / name).chmod(mode)
    assert problem in said(tmp_path, WEATHER.format(more=more))
