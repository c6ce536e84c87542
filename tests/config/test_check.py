"""Cross-checks find what no single field can tell, and place it in the file."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rsu.config.check import check_site, checked_site
from rsu.config.load import ConfigError

GOOD = """\
site:
  id: here
  origin: {latitude: 31, longitude: 121}
  lanes: lanes.geojson
cameras:
  - id: north
    source: {driver: file, path: clip.mp4}
    calibration:
      kind: pose
      image_width: 640
      image_height: 384
      lens: {fx: 320, fy: 320, cx: 320, cy: 192}
      pose: {x: 0, y: 0, z: 8, heading: 90, tilt: 20}
    detector: {driver: motion}
v2x:
  rsu_id: "5253550000000001"
radios:
  - {id: out, driver: udp, host: 127.0.0.1, port: 5000}
"""
LANE = {
    "type": "Feature",
    "properties": {"id": "a", "kind": "vehicle", "width": 3.5},
    "geometry": {"type": "LineString", "coordinates": [[121, 31], [121.001, 31]]},
}


@pytest.fixture
def said(tmp_path, monkeypatch):
    """What checking a text as `s.yaml` says, in a folder with a map and a clip."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RSU_MODELS", str(tmp_path / "own-models"))
    Path("lanes.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [LANE]}))
    Path("clip.mp4").write_bytes(b"")

    def check(text: str) -> list[str]:
        Path("s.yaml").write_text(text)
        return [str(problem) for problem in check_site(Path("s.yaml")).problems]

    return check


def replaced(old: str, new: str) -> str:
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


def test_a_good_site_has_no_problems(said):
    assert said(GOOD) == []


CAMERA = GOOD[GOOD.index("  - id: north") : GOOD.index("v2x:")]
UDP = "  - {id: out, driver: udp, host: 127.0.0.1, port: 5000}\n"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("lanes.geojson", "lane.geojson",
         "s.yaml:4:10: site.lanes: lane.geojson: no such file or directory"),
        ("clip.mp4", "clipp.mp4", "s.yaml:7:34: cameras[0].source.path: there is no video file "
         "'clipp.mp4' (did you mean clip.mp4?)"),
        ("path: clip.mp4", "path: .", "s.yaml:7:34: cameras[0].source.path: '.' is no file"),
        ("driver: file, path: clip.mp4", "driver: images, path: pictures",
         "s.yaml:7:36: cameras[0].source.path: there is no folder 'pictures'"),
        ("driver: file, path: clip.mp4", "driver: images, path: .",
         "s.yaml:7:36: cameras[0].source.path: the folder '.' holds no images"),
        ("path: clip.mp4", "path: clip.mp4, start_utc: 2025-02-30T00:00:00Z", "s.yaml:7:55: "
         "cameras[0].source.start_utc: '2025-02-30T00:00:00Z' is no date that exists"),
        ("driver: file, path: clip.mp4", "driver: v4l2, device: /dev/video987",
         "s.yaml:7:36: warning: cameras[0].source.device: there is no /dev/video987 on this "
         "machine"),
        ("driver: file, path: clip.mp4", "driver: v4l2, device: /dev/null, width: 640, height: 480",
         "s.yaml:7:54: cameras[0].source.width: frames of 640×480 px do not have the shape of the "
         "calibration's 640×384 px"),
        ("tilt: 20", "tilt: -60", "s.yaml:13:7: cameras[0].calibration.pose: maps the road to the "
         "sky: the whole image is above the horizon"),
        ("{driver: motion}", "{driver: modelled}", "s.yaml:14:24: cameras[0].detector.driver: "
         "'modelled' invents detections: only cameras with `driver: sim` may have it"),
        ("{driver: motion}", "{driver: onnx, model: yolo}", "s.yaml:14:37: warning: "
         "cameras[0].detector.model: no model 'yolo' is installed: see `rsu models list`"),
        ("{driver: motion}", "{driver: onnx, model: m/yolo.onnx}", "s.yaml:14:37: warning: "
         "cameras[0].detector.model: there is no model 'm/yolo.onnx' yet: see `rsu models add`"),
        ("    detector: {driver: motion}", "    detector: {driver: motion}\n    classes: [cars]",
         "s.yaml:15:15: cameras[0].classes[0]: 'cars' is no class; known: unknown, pedestrian, "
         "bicycle, motorcycle, car, van, truck, bus, animal, obstacle (did you mean car?)"),
        ('"5253550000000001"', '"0000000000000000"',
         "s.yaml:16:11: v2x.rsu_id: is all zero: it must name this unit"),
        ('"5253550000000001"', '"5253550000000001"\n  trust_clock: true',
         "s.yaml:17:16: warning: v2x.trust_clock: radio 'out' would send even with a wrong clock"),
        ('v2x:\n  rsu_id: "5253550000000001"\n', "",
         "s.yaml:15:1: warning: radios: nothing is sent without a section v2x"),
        ("radios:\n" + UDP, "",
         "s.yaml:15:1: warning: v2x: no radio is configured: nothing leaves the unit"),
        ("id: out", "id: north", "s.yaml:18:10: radios[0].id: 'north' is already the id of "
         "cameras[0]"),
        (UDP, UDP + UDP, "s.yaml:19:10: radios[1].id: 'out' is already the id of radios[0]"),
        (UDP, UDP.replace("}", ", listen_port: 6000}")
         + UDP.replace("out", "two").replace("}", ", listen_port: 6000}"),
         "s.yaml:19:70: radios[1].listen_port: radio 'out' listens there already"),
        (UDP, "  - {id: a, driver: file, path: f}\n  - {id: b, driver: file, path: f}\n",
         "s.yaml:19:33: radios[1].path: radio 'a' writes there already"),
        (UDP, UDP + "recording: {split_bytes: 5000000, keep_bytes: 4000000}\n",
         "s.yaml:19:47: recording.keep_bytes: one file of split_bytes (5000000) is larger"),
        (UDP, UDP + "recording: {split_bytes: 3000000, keep_bytes: 4000000}\n",
         "s.yaml:19:47: warning: recording.keep_bytes: holds less than two files of split_bytes: "
         "half of it is lost at every split"),
        (UDP, UDP + "uplink: {host: localhost, username: u, password_file: nope}\n",
         "s.yaml:19:55: uplink.password_file: there is no file 'nope'"),
        (UDP, UDP + "uplink: {host: localhost, tls: {cert_file: clip.mp4}}\n",
         "s.yaml:19:27: uplink.tls: a client certificate needs key_file too"),
        (UDP, UDP + "fusion: {birth_probability: 0.01}\n",
         "s.yaml:19:29: fusion.birth_probability: is below delete_probability: no track would "
         "live"),
    ],
)  # fmt: skip
def test_one_contradiction_gives_one_line_at_its_place(said, old, new, expected):
    assert said(replaced(old, new)) == [expected]


def test_two_cameras_of_one_name_clash(said):
    assert said(GOOD.replace("v2x:", CAMERA + "v2x:")) == [
        "s.yaml:15:9: cameras[1].id: 'north' is already the id of cameras[0]"
    ]


def test_every_problem_of_a_map_is_reported_at_the_key_that_names_it(said):
    bad = {**LANE, "properties": {"id": "a", "kind": "vehicle", "width": 99, "successors": ["b"]}}
    Path("lanes.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [bad]}))
    assert said(GOOD) == [
        "s.yaml:4:10: site.lanes: lanes.geojson: feature 0 (a): width: 99 is outside 0.3..30 m"
    ]
    Path("lanes.geojson").write_text('{"type": \n!')
    assert said(GOOD)[0].startswith("s.yaml:4:10: site.lanes: lanes.geojson:2:1: is not JSON")


def test_homography_residuals_are_printed_with_numbers(said):
    points = "".join(
        f"        - {{image: [{x}, {y}], ground: [{e}, {n}]}}\n"
        for x, y, e, n in [
            (100, 350, -4, 6), (540, 350, 4, 6), (400, 150, 4, 25), (240, 150, -4, 25),
            (320, 250, 3, 12),
        ]
    )  # fmt: skip
    start, end = GOOD.index("      kind: pose"), GOOD.index("    detector:")
    text = (
        GOOD[:start]
        + "      kind: homography\n      image_width: 640\n      image_height: 384\n      points:\n"
        + points
        + GOOD[end:]
    )
    (line,) = said(text)
    assert line.startswith("s.yaml:12:7: cameras[0].calibration.points: re-project with ")
    assert " px (" in line
    assert " m) RMS, " in line


def test_a_secret_that_others_can_read_is_a_warning(said):
    secret = Path("pw")
    secret.write_text("x")
    secret.chmod(0o640)
    text = GOOD + "uplink: {host: localhost, username: u, password_file: pw}\n"
    assert said(text) == [
        "s.yaml:19:55: warning: uplink.password_file: 'pw' can be read by others (mode 0640; "
        "0600 is right)"
    ]
    secret.chmod(0o600)
    assert said(text) == []


def test_simulated_road_users_on_a_real_radio_are_a_warning(said):
    text = replaced("{driver: file, path: clip.mp4}", "{driver: sim}")
    assert said(text) == [
        "s.yaml:7:22: warning: cameras[0].source.driver: road users that do not exist would go on "
        "the air by radio 'out'"
    ]


def test_installed_models_are_found_where_models_lie(said, tmp_path):
    text = replaced("{driver: motion}", "{driver: onnx, model: yolo}")
    for folder in ("models", "own-models"):
        assert len(said(text)) == 1
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "yolo.onnx").write_bytes(b"")
        assert said(text) == []
        (tmp_path / folder / "yolo.onnx").unlink()


def test_cross_checks_also_look_at_a_file_with_misspelt_keys(said):
    text = GOOD.replace("origin:", "orign:").replace("5253550000000001", "0000000000000000")
    assert said(text) == [
        "s.yaml:3:3: site.orign: unknown key (did you mean origin?)",
        "s.yaml:16:11: v2x.rsu_id: is all zero: it must name this unit",
    ]
    assert check_site(Path("s.yaml")).config is None


def test_warnings_do_not_keep_a_unit_from_starting_and_errors_do(said):
    said(GOOD.replace("radios:\n" + UDP, ""))
    assert checked_site(Path("s.yaml")).site.id == "here"
    said(GOOD.replace("clip.mp4", "other.mp4"))
    with pytest.raises(ConfigError, match="no video file"):
        checked_site(Path("s.yaml"))


def test_the_example_junction_is_clean(root):
    assert [str(p) for p in check_site(root / "configs" / "junction.yaml").problems] == []


def test_every_example_site_has_no_errors(root, shared):
    sites = sorted((root / "configs").glob("*.yaml"))
    assert len(sites) >= 1
    assert [str(problem) for site in sites for problem in check_site(site).errors] == []


def test_what_example_sites_say_on_the_air_gives_no_warning(root, shared):
    problems = [p for site in (root / "configs").glob("*.yaml") for p in check_site(site).problems]
    # A laboratory whose radio stays on the machine trusts any clock, on purpose.
    told = [str(p) for p in problems if p.path.startswith(("site", "v2x", "radios"))]
    assert [line for line in told if "v2x.trust_clock" not in line] == []


def test_checking_a_site_imports_nothing_heavy(root):
    heavy = ["numpy", "cv2", "scipy", "onnxruntime", "shapely", "asn1tools", "pymap3d", "zmq"]
    code = (
        "import sys; from pathlib import Path; from rsu.config.check import check_site; "
        "assert not check_site(Path('configs/junction.yaml')).problems; "
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
