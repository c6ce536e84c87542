"""Profiles and downlink are checked against the message sets, the map and each other."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rsu.config.check import check_site
from rsu.config.load import load_site
from rsu.config.uplink import UplinkOptions

SITE = """\
site:
  id: here
  origin: {latitude: 31, longitude: 121}
  zones: zones.geojson
v2x:
  rsu_id: "5253550000000001"
radios:
  - {id: out, driver: udp, host: 127.0.0.1, port: 5000}
uplink:
  host: localhost
"""
WITHOUT = SITE.replace('v2x:\n  rsu_id: "5253550000000001"\n', "").replace(
    "radios:\n  - {id: out, driver: udp, host: 127.0.0.1, port: 5000}\n", ""
)
BAY = {
    "type": "Feature",
    "properties": {"id": "b1", "kind": "bay", "lot": "west"},
    "geometry": {
        "type": "Polygon",
        "coordinates": [[[121, 31], [121.0001, 31], [121.0001, 31.0001], [121, 31]]],
    },
}


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    monkeypatch.chdir(tmp_path)
    Path("zones.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [BAY]}))

    def check(text: str) -> list[str]:
        Path("s.yaml").write_text(text)
        return [str(problem) for problem in check_site(Path("s.yaml")).problems]

    return check


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SITE + "  profiles: [{kind: plain}, {kind: fiware, on_street: [west]}]\n", []),
        (SITE + "  profiles: [{kind: plain}, {kind: plain}]\n",
         ["s.yaml:11:29: uplink.profiles[1]: has the topics of uplink.profiles[0]"]),
        (SITE + "  profiles: [{kind: plain}, {kind: plain, topic_prefix: b}]\n", []),
        (SITE + "  profiles: [{kind: fiware, on_street: [wst]}]\n",
         ["s.yaml:11:41: uplink.profiles[0].on_street[0]: there is no lot 'wst' on the map "
          "(did you mean west?)"]),
        (WITHOUT + "  profiles: [{kind: huawei_dris, esn: u}]\n",
         ["s.yaml:7:21: uplink.profiles[0].kind: passes on what is said on the air: it needs "
          "v2x.csae"]),
        (WITHOUT + "  profiles: [{kind: openv2x, esn: u}]\n",
         ["s.yaml:7:21: uplink.profiles[0].kind: passes on what is said on the air: it needs "
          "v2x.csae"]),
        (SITE + "  profiles: []\n",
         ["s.yaml:11:3: warning: uplink.profiles: is empty: nothing is reported"]),
        (WITHOUT + "  downlink: {enabled: true}\n",
         ["s.yaml:7:23: warning: uplink.downlink.enabled: nothing is said without a section v2x"]),
        (SITE + "  profiles: [{kind: fiwar}]\n",
         ["s.yaml:11:21: uplink.profiles[0].kind: 'fiwar' is not one of plain, fiware, "
          "huawei_dris, openv2x, hisense_binary (did you mean fiware?)"]),
        (SITE + "  profiles: [{kind: hisense_binary, rsu_id: longer-than-8}]\n",
         ["s.yaml:11:45: uplink.profiles[0].rsu_id: must be 1 to 8 visible ASCII characters, not "
          "'longer-than-8'"]),
    ],
)  # fmt: skip
def test_each_contradiction_is_told_at_its_place(
    said: Callable[[str], list[str]], text: str, expected: list[str]
) -> None:
    assert [line for line in said(text) if "uplink" in line] == expected


def test_without_a_word_the_profile_is_plain(said: Callable[[str], list[str]]) -> None:
    said(SITE)
    uplink = load_site(Path("s.yaml")).uplink
    assert uplink is not None
    assert [profile.kind for profile in uplink.profiles] == ["plain"]
    assert uplink == UplinkOptions(host="localhost")
    assert not uplink.downlink.enabled
