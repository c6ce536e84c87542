"""What is said on the air fits the map, the radios and itself; what does not has its place."""

import json
from pathlib import Path

import pytest

from rsu.config.check import check_site

SITE = """\
site:
  id: here
  intersection: 1
  origin: {latitude: 31, longitude: 121}
  lanes: lanes.geojson
  zones: zones.geojson
  signs: []
v2x:
  rsu_id: "5253550000000001"
  csae: {profile: csae157_2020}
  sae: {}
radios:
  - {id: out, driver: file, path: f}
"""
LANES = [
    ({"id": "in-1", "role": "entry", "upstream_node": 2, "downstream_node": 1, "lane_id": 1,
      "successors": ["turn"], "stop_line": 50}, [[121, 31], [121.001, 31]]),
    ({"id": "turn", "role": "connection", "maneuver": "straight", "signal_group": 3},
     [[121.001, 31], [121.0011, 31]]),
]  # fmt: skip
BAYS = [("bay-1", "north"), ("bay-2", "south")]


def write_map(lanes=LANES, bays=BAYS):
    features = [
        {"type": "Feature", "properties": {"kind": "vehicle", "width": 3.5, **properties},
         "geometry": {"type": "LineString", "coordinates": line}}
        for properties, line in lanes
    ]  # fmt: skip
    Path("lanes.geojson").write_text(
        json.dumps({"type": "FeatureCollection", "features": features})
    )
    ring = [[121, 31.0001], [121.0001, 31.0001], [121.0001, 31.0002], [121, 31.0001]]
    features = [
        {"type": "Feature", "properties": {"id": name, "kind": "bay", "lot": lot},
         "geometry": {"type": "Polygon", "coordinates": [ring]}}
        for name, lot in bays
    ]  # fmt: skip
    Path("zones.geojson").write_text(
        json.dumps({"type": "FeatureCollection", "features": features})
    )


@pytest.fixture
def said(tmp_path, monkeypatch):
    """What checking a text as `s.yaml` says, in a folder with a small map."""
    monkeypatch.chdir(tmp_path)
    write_map()

    def check(text: str) -> list[str]:
        Path("s.yaml").write_text(text)
        return [str(problem) for problem in check_site(Path("s.yaml")).problems]

    return check


def test_the_site_these_tests_start_from_has_no_problems(said):
    assert said(SITE) == []


def changed(old: str, new: str) -> str:
    assert SITE.count(old) == 1
    return SITE.replace(old, new)


def at(text: str, value: str, line: str) -> str:
    """The line of a report about `value`, at the only place where the text has it."""
    assert text.count(value) == 1, value
    before = text[: text.index(value)]
    return f"s.yaml:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}: {line}"


PLACE = "latitude: 31, longitude: 121"
SIGNS, CSAE, SAE = "  signs: []\n", "{profile: csae157_2020}", "sae: {}"


def signs(*rest: str) -> str:
    return "  signs:\n" + "".join(f"    - {{{PLACE}, {one}}}\n" for one in rest)


@pytest.mark.parametrize(
    ("old", "new", "value", "line"),
    [
        (SIGNS, signs("id: a, code: 1, lanes: [in-2]"), "in-2",
         "site.signs[0].lanes[0]: there is no lane 'in-2' on the map (did you mean in-1?)"),
        (SIGNS, signs("code: 1, id: a", "code: 1, id: a  "), "a  }",
         "site.signs[1].id: 'a' is already the id of site.signs[0]"),
        (SIGNS, signs('id: a, code: 1, until_utc: "2025-02-30T00:00:00Z"'), '"2025-02-30T',
         "site.signs[0].until_utc: '2025-02-30T00:00:00Z' is no date that exists"),
        (SIGNS, signs('id: a, code: 1, from_utc: "2026-01-01T00:00:00Z", '
                      'until_utc: "2025-01-01T00:00:00Z"'), '"2025-01-01T',
         "site.signs[0].until_utc: is not after from_utc: the sign would never hold"),
        (CSAE, "{profile: csae157_2020, pam: {enabled: true, aid: 9, lot: nort}}", "nort}",
         "v2x.csae.pam.lot: there is no lot 'nort' on the map; known: north, south (did you mean "
         "north?)"),
        (CSAE, "{profile: csae157_2020, pam: {enabled: true, aid: 9}}", "pam: ",
         "v2x.csae.pam.lot: is missing; one of north, south"),
        (CSAE, "{rsm: {aid: 3619}}", "3619", "warning: v2x.csae.rsm.aid: 3619 is the AID of spat: "
         "they could not be told apart by it"),
        (CSAE, "{rsm: {aid: 3618}}", "3618", "warning: v2x.csae.rsm.aid: 3618 is the AID of map: "
         "they could not be told apart by it"),
        (CSAE, "{rsm: {aid: 111}}", "111",
         "warning: v2x.csae.rsm.aid: 111 stands for BSM of vehicles"),
        (CSAE, "{profile: csae157_2020, ssm: {enabled: true, aid: 9}, "
         "rsc: {aid: 9, enabled: true}}", "9, enabled", "warning: v2x.csae.rsc.aid: 9 is the AID "
         "of ssm: they could not be told apart by it"),
        (SAE, "sae: {tim: {aid: 130}}", "130", "warning: v2x.sae.tim.aid: 130 is the PSID of "
         "spat: they could not be told apart by it"),
        (SAE, "receive: {dsmp: csae53_2020}", "csae53_2020", "warning: v2x.receive.dsmp: is "
         "csae53_2020, but csae157_2020 is spoken here: neighbours would be misread"),
        (SAE, "sae: {}\n  receive: {wsmp: csae53_2020}", "csae53_2020", "warning: "
         "v2x.receive.wsmp: is csae53_2020, but j2735_2024 is spoken here: neighbours would be "
         "misread"),
        (SAE, "packet_octets: 300\n  security_octets: 200", "200", "warning: "
         "v2x.security_octets: leaves 100 of 300 octets for header and message; 130 are the least "
         "to be useful"),
        (SAE, "packet_octets: 220", "220", "v2x.packet_octets: leaves 0 of 220 octets for header "
         "and message; 130 are the least to be useful"),
    ],
)  # fmt: skip
def test_one_contradiction_gives_one_line_at_its_place(said, old, new, value, line):
    text = changed(old, new)
    assert said(text) == [at(text, value, line)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (CSAE, "{profile: csae157_2020, pam: {enabled: true, aid: 9, lot: south}}"),
        (CSAE, "{map: {enabled: true}}"),
        (CSAE, "{rsm: {enabled: false, aid: 3619}}"),
        (CSAE, "{rsi: {static: {aid: 3622}}}"),
        (SAE, "sae: {map: {enabled: true, aid: 130}}"),
        (SAE, "sae: {ssm: {aid: 300}, spat: {aid: 300}}"),
        (SAE, "receive: {dsmp: null, wsmp: csae53_2020}"),
        (SAE, "sae: {}\n  receive: {enabled: false, wsmp: csae53_2020}"),
        (SAE, "packet_octets: 370"),
        (SIGNS, signs('id: a, code: 0, from_utc: "2026-01-01T00:00:00Z", lanes: [in-1, turn]')),
    ],
)
def test_what_fits_is_passed_over_in_silence(said, old, new):
    assert said(changed(old, new)) == []


@pytest.mark.parametrize(
    ("csae", "sae", "codes", "lost"),
    [
        ("{}", "{}", "code: 1", False),
        ("{}", "{}", "itis: 1", False),
        ("null", "{}", "code: 1", True),
        ("null", "{}", "code: 1, itis: 1", False),
        ("{}", "null", "itis: 1", True),
        ("{rsi: {static: {enabled: false}}}", "{}", "code: 1", True),
        ("{}", "{tim: {enabled: false}}", "itis: 1", True),
    ],
)
def test_a_sign_that_no_enabled_message_can_say_is_a_warning(said, csae, sae, codes, lost):
    text = changed(SIGNS, signs(f"id: a, {codes}"))
    text = text.replace(SAE, f"sae: {sae}").replace(CSAE, csae)
    line = (
        "warning: site.signs[0]: is said in no message: code needs v2x.csae.rsi.static, itis "
        "v2x.sae.tim"
    )
    assert said(text) == ([at(text, f"{{{PLACE}, id", line)] if lost else [])


def test_a_radio_that_signs_needs_room_for_the_signature(said):
    signing = "driver: rsu41, host: h, signature: true"
    text = changed(SAE, "security_octets: 99").replace("driver: file, path: f", signing)
    line = "v2x.security_octets: radio 'out' signs, which takes at least 100 octets"
    assert said(text) == [at(text, "99", f"warning: {line}")]
    assert said(text.replace("99", "100")) == []


MAP = changed(CSAE, "{profile: csae157_2020, map: {enabled: true}}")


def test_a_map_message_needs_lanes_that_lead_to_the_intersection(said):
    text = MAP.replace("  lanes: lanes.geojson\n", "")
    assert said(text) == [
        at(text, "true", "v2x.csae.map.enabled: says the site's lanes: set site.lanes")
    ]
    text = MAP.replace("intersection: 1", "intersection: 4")
    line = "site.intersection: no entry lane of the map leads to node 4, but to 1"
    assert said(text) == [at(text, "4\n", line)]
    write_map([({"id": "a", "width": 3}, LANES[0][1])])
    line = (
        "v2x.csae.map.enabled: no lane of the map has the role entry: no intersection could be said"
    )
    assert said(MAP) == [at(MAP, "true", line)]


def test_an_intersection_without_number_is_a_warning_where_messages_name_it(said):
    nameless = changed("  intersection: 1\n", "")
    line = "warning: site.intersection: is not set: MAP and SPAT would name intersection 0"
    assert said(nameless) == [at(nameless, "site:", line)]
    silent = nameless.replace(SAE, "sae: {spat: {enabled: false}}")
    silent = silent.replace(CSAE, "{spat: {enabled: false}}")
    assert said(silent) == []
    write_map([])
    assert said(nameless) == []


def test_signals_without_a_group_on_the_map_are_a_warning_if_someone_asked_for_them(said):
    asked = changed(CSAE, "{spat: {enabled: true}}")
    assert said(asked) == []
    ungoverned = {key: value for key, value in LANES[1][0].items() if key != "signal_group"}
    write_map([LANES[0], (ungoverned, LANES[1][1])])
    assert said(SITE) == []
    line = "no lane of the map has a signal_group: nobody could tell whom it is for"
    assert said(asked) == [at(asked, "true", f"warning: v2x.csae.spat.enabled: {line}")]


def test_parking_messages_need_bays(said):
    write_map(bays=())
    text = changed(CSAE, "{profile: csae157_2020, pam: {enabled: true, aid: 9}}")
    line = "v2x.csae.pam.enabled: the map has no bays: draw some in site.zones"
    assert said(text) == [at(text, "true", line)]


def test_a_broken_map_is_reported_once_and_not_for_every_message_that_needs_it(said):
    Path("lanes.geojson").write_text("{}")
    text = MAP.replace(SIGNS, signs("id: a, code: 1, lanes: [in-1]"))
    (line,) = said(text)
    assert line.startswith("s.yaml:5:10: site.lanes: lanes.geojson")


@pytest.mark.parametrize(
    ("key", "now"), [("profile: csae53_2020", "csae.profile"), ("rsm: {aid: 3623}", "csae.rsm")]
)
def test_keys_of_earlier_versions_are_told_where_they_are_now(said, key, now):
    name = key.split(":", maxsplit=1)[0]
    assert said(changed(SAE, key)) == [f"s.yaml:11:3: v2x.{name}: is v2x.{now} now"]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ("enabled: true", "aid: must be given: no public source assigns one"),
        ("enabled: true, aid: 300", "operator: must be given: every event names its operator"),
        ("enabled: true, aid: 300, operator: me", "operator: must be an object identifier such "
         "as 1.3.6.1.4.1.99999, not 'me'"),
    ],
)  # fmt: skip
def test_a_road_safety_message_needs_a_psid_and_an_operator(said, options, line):
    (problem,) = said(changed(SAE, f"sae: {{rsm: {{{options}}}}}"))
    assert problem.startswith("s.yaml:11:")
    assert problem.endswith(f": v2x.sae.rsm.{line}")
