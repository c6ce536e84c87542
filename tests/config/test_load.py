"""A bad site file says everything that is wrong with it, at the exact line and column."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.config.document import MAX_BYTES, parse, read_document
from rsu.config.load import ConfigError, load_site

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
GOOD = """\
site:
  id: here
  origin: {latitude: 31, longitude: 121.0}
cameras:
  - id: north
    source: {driver: file, path: a.mp4}
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
uplink:
  host: localhost
"""


@pytest.fixture
def said(tmp_path, monkeypatch):
    """Lines that loading a text (or bytes) as `s.yaml` complains with; [] when it loads."""
    monkeypatch.chdir(tmp_path)

    def load(content: str | bytes) -> list[str]:
        path = Path("s.yaml")
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        try:
            load_site(path)
        except ConfigError as error:
            return str(error).splitlines()
        return []

    return load


def replaced(old: str, new: str) -> str:
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


def test_a_good_file_loads_with_its_values_and_defaults(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text("\ufeff" + GOOD, encoding="utf-8")
    config = load_site(path)
    assert config.site.origin.latitude == 31.0
    assert config.cameras[0].source.path == Path("a.mp4")
    assert config.runtime.stop_s == 4.0
    assert config.recording is None


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("  id: here", "  id: Here There", "s.yaml:2:7: site.id: must be a name: lower-case "
         "letters, digits, - and _, a letter first, at most 32, not 'Here There'"),
        ("latitude: 31,", "latitude: 91,",
         "s.yaml:3:22: site.origin.latitude: must be less than or equal to 90, not 91"),
        ("latitude: 31,", "latitude: '31',",
         "s.yaml:3:22: site.origin.latitude: must be a number, not '31'"),
        ("latitude: 31,", "latitude: .nan,",
         "s.yaml:3:22: site.origin.latitude: .nan is not a finite number"),
        ("latitude: 31,", "latitude: 1e999,",
         "s.yaml:3:22: site.origin.latitude: 1e999 is not a finite number"),
        ("latitude: 31,", "latitude: ,",
         "s.yaml:3:12: site.origin.latitude: must be a number, not empty"),
        ("latitude: 31, ", "", "s.yaml:3:3: site.origin.latitude: is missing"),
        ("latitude:", "latitud:",
         "s.yaml:3:12: site.origin.latitud: unknown key (did you mean latitude?)"),
        ("driver: file", "driver: fil", "s.yaml:6:22: cameras[0].source.driver: 'fil' is not one "
         "of file, images, rtsp, v4l2, sim (did you mean file?)"),
        ("driver: file, ", "", "s.yaml:6:5: cameras[0].source.driver: is missing; one of file, "
         "images, rtsp, v4l2, sim"),
        ("path: a.mp4", "pth: a.mp4",
         "s.yaml:6:28: cameras[0].source.pth: unknown key (did you mean path?)"),
        ("path: a.mp4", "path: 5", "s.yaml:6:34: cameras[0].source.path: must be text: put 5 in "
         "quotes"),
        ("path: a.mp4", "path: a.mp4, loop: yes",
         "s.yaml:6:47: cameras[0].source.loop: must be true or false, not 'yes'"),
        ("kind: pose", "kind: pos", "s.yaml:8:13: cameras[0].calibration.kind: 'pos' is not one "
         "of pose, homography, matrix (did you mean pose?)"),
        ("fx: 320", "fx: 0", "s.yaml:11:18: cameras[0].calibration.lens.fx: must be greater than "
         "0, not 0"),
        ("image_width: 640", "image_width: 640.5", "s.yaml:9:20: "
         "cameras[0].calibration.image_width: must be a whole number, not 640.5"),
        (", tilt: 20}", "}", "s.yaml:12:7: cameras[0].calibration.pose.tilt: is missing"),
        ("detector: {driver: motion}", "detector: motion",
         "s.yaml:13:15: cameras[0].detector: must be a section with keys, not 'motion'"),
        ("detector: {driver: motion}", "detector: {driver: onnx, model: m, providers: []}",
         "s.yaml:13:40: cameras[0].detector.providers: must have at least 1 items, not 0"),
        ("detector: {driver: motion}",
         "detector: {driver: motion}\n    regions: [{left: 600, top: 0, width: 50, height: 9}]",
         "s.yaml:14:15: cameras[0].regions[0]: reaches outside the 640×384 px image"),
        ('rsu_id: "5253550000000001"', "rsu_id: 0000000000000007",
         "s.yaml:15:11: v2x.rsu_id: must be text: put 0000000000000007 in quotes"),
        ('rsu_id: "5253550000000001"', 'rsu_id: "52"',
         "s.yaml:15:11: v2x.rsu_id: must be 16 hex digits in quotes, not '52'"),
        ('rsu_id: "5253550000000001"', 'rsu_id: "5253550000000001"\n  csae: {profile: csae53-2020}',
         "s.yaml:16:19: v2x.csae.profile: 'csae53-2020' is not 'csae53_2020' or 'csae157_2020' "
         "(did you mean csae53_2020?)"),
        ("port: 5000", "port: 70000",
         "s.yaml:17:51: radios[0].port: must be less than or equal to 65535, not 70000"),
        ("port: 5000", "port: 0b11",
         "s.yaml:17:51: radios[0].port: must be a whole number, not '0b11'"),
        ("radios:\n  - {id: out,", "radios:\n  - {id: out, id: out,",
         "s.yaml:17:15: radios[0].id: duplicate key, first at 17:6"),
        ("uplink:\n  host: localhost\n", "uplink:\n",
         None),
        ("uplink:\n  host: localhost\n", "uplink: {host: h, password_file: x}\n",
         "s.yaml:18:34: uplink.password_file: needs tls: it would cross the network readable"),
        ("uplink:\n  host: localhost\n", "fusion:\n", "s.yaml:18:1: fusion: must be a section "
         "with keys, not empty"),
        ("uplink:\n  host: localhost\n", "recording: []\n",
         "s.yaml:18:1: recording: must be a section with keys, not a list"),
        ("uplink:\n  host: localhost\n", "site: {}\n",
         "s.yaml:18:1: site: duplicate key, first at 1:1"),
        ("uplink:\n  host: localhost\n", "uplnk:\n  host: localhost\n",
         "s.yaml:18:1: uplnk: unknown key (did you mean uplink?)"),
    ],
)  # fmt: skip
def test_one_mistake_gives_one_line_at_its_place(said, old, new, expected):
    assert said(replaced(old, new)) == ([] if expected is None else [expected])


def test_all_mistakes_come_at_once_in_file_order(said):
    text = (
        GOOD.replace("id: here", "id: HERE")
        .replace("driver: file", "driver: web")
        .replace("fx: 320", "fx: -1")
        .replace("port: 5000", "prt: 5000")
    )
    places = [line.split(" ", 1)[0] for line in said(text)]
    assert places == ["s.yaml:2:7:", "s.yaml:6:22:", "s.yaml:11:18:", "s.yaml:17:45:"]


def test_values_under_a_misspelt_section_are_checked_too(said):
    text = GOOD.replace("radios:", "radio:").replace("port: 5000", "port: x")
    assert said(text) == [
        "s.yaml:16:1: radio: unknown key (did you mean radios?)",
        "s.yaml:17:51: radios[0].port: must be a whole number, not 'x'",
    ]


def test_a_discriminator_named_like_a_key_does_not_confuse_the_path(said):
    # The calibration is of kind `pose` and has a key `pose`.
    text = replaced("pose: {x: 0, y: 0, z: 8,", "pose: {x: 0, y: 0, z: 0,")
    assert said(text) == [
        "s.yaml:12:29: cameras[0].calibration.pose.z: must be greater than 0, not 0"
    ]


def test_a_password_inside_a_url_is_not_printed(said):
    text = replaced(
        "source: {driver: file, path: a.mp4}",
        "source: {driver: rtsp, url: 'rtsp://admin:hunter2@10.0.0.1/a'}",
    )
    (line,) = said(text)
    assert line.startswith("s.yaml:6:33: cameras[0].source.url: must be an rtsp://")
    assert "hunter2" not in line


def test_an_error_inside_an_alias_points_to_where_the_value_stands(said):
    text = GOOD.replace("lens: {fx: 320,", "lens: &lens {fx: 0,") + "fusion: *lens\n"
    lines = said(text)
    assert "s.yaml:11:24: cameras[0].calibration.lens.fx: must be greater than 0, not 0" in lines


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "s.yaml:1:1: the file is empty"),
        ("# only a comment\n", "s.yaml:1:1: the file is empty"),
        ("---\n", "s.yaml:1:1: the file is empty"),
        ("just text", "s.yaml:1:1: must be a section with keys, not 'just text'"),
        ("- a\n- b\n", "s.yaml:1:1: must be a section with keys, not a list"),
        ("site:\n\tid: x\n", "s.yaml:2:1: YAML syntax: a tab cannot indent YAML, use spaces"),
        ("a: b: c\n", "s.yaml:1:5: YAML syntax: a second `:` here; quote the text, or start a new "
         "line"),
        ("a: 'x\n", "s.yaml:2:1: YAML syntax: found unexpected end of stream while scanning a "
         "quoted scalar"),
        ("a: [1, 2\nb: 3\n", "s.yaml:2:2: YAML syntax: expected ',' or ']', but got ':' while "
         "parsing a flow sequence"),
        ("a: 1\n---\nb: 2\n", "s.yaml:2:1: a site file holds one YAML document only"),
        ("%YAML 1.1\n---\na: on\n", "s.yaml:2:1: site files are YAML 1.2"),
        ("a: !!python/name:os.system 1\n", "s.yaml:1:4: a: YAML tags are not used here: "
         "tag:yaml.org,2002:python/name:os.system"),
        ("a: &x 1\nb: {<<: *x}\n", "s.yaml:2:5: b.<<: merge keys are not part of YAML 1.2"),
        ("a: *nowhere\n", "s.yaml:1:4: a: nothing before here is anchored as &nowhere"),
        ("a: &x [*x]\n", "s.yaml:1:8: a[0]: nothing before here is anchored as &x"),
        ("? [a, b]\n: c\n", "s.yaml:1:3: a key must be text"),
        (b"site:\n  id: caf\xe9\n", "s.yaml:2:10: is not UTF-8: byte 0xe9"),
        (b"site:\n  id: a\x00b\n", r"s.yaml:2:8: character \x00 is not allowed in YAML"),
        (b"#" * (MAX_BYTES + 1), "s.yaml:1:1: is larger than 512 kB: not a site file"),
    ],
)  # fmt: skip
def test_a_text_that_is_no_site_file_is_refused_with_the_reason(said, content, expected):
    assert said(content) == [expected]


def test_deep_nesting_is_stopped(said):
    (line,) = said("[" * 100_000)
    assert line.endswith("nested deeper than 32 levels")


def test_alias_bombs_are_stopped(said):
    bomb = "a: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
        f"k{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
    )
    (line,) = said(bomb)
    assert line.endswith("more than 50000 keys and values")


def test_depth_by_chained_aliases_is_stopped(said):
    chain = (
        "a: &a0 ["
        + "[" * 20
        + "]" * 21
        + "\n"
        + "".join(f"k{i}: &a{i} [[[[[[[[[[*a{i - 1}]]]]]]]]]]\n" for i in range(1, 20))
    )
    (line,) = said(chain)
    assert line.startswith("s.yaml:3:")
    assert line.endswith("nested deeper than 32 levels")


def test_missing_files_and_folders_are_named(tmp_path):
    for path, reason in (
        (tmp_path / "nope.yaml", "cannot be read: No such file or directory"),
        (tmp_path, "is a folder, not a site file"),
        (Path("a\0b"), "cannot be read"),
    ):
        with pytest.raises(ConfigError) as error:
            load_site(path)
        assert reason in str(error.value)


def test_scalars_follow_yaml_1_2():
    text = "a: [no, on, 0o17, 0x1F, 010, 1_000, 1.5e3, ~, 2025-01-01, 1:30, 'null', .5]"
    values = parse(text, Path("x.yaml")).root.plain()["a"]
    assert values == [
        "no", "on", 15, 31, 10, "1_000", 1500.0, None, "2025-01-01", "1:30", "null", 0.5,
    ]  # fmt: skip


def test_positions_are_those_of_the_text(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(GOOD)
    document = read_document(path)
    assert document.mark(("cameras", 0, "calibration", "lens", "cy")) == (11, 45)
    assert document.mark(("cameras", 0, "calibration")) == (7, 5)
    assert document.mark(("cameras", 0)) == (5, 5)
    assert document.mark(("cameras", 0, "max_range")) == (5, 5)
    assert document.mark(("recording", "folder")) == (1, 1)


keys = st.sampled_from(
    ["site", "cameras", "id", "source", "driver", "file", "kind", "pose", "v2x", "radios", "path",
     "origin", "latitude", "calibration", "detector", "fusion", "points", "x"]
)  # fmt: skip
data = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | keys,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=15,
)


def only_config_errors(tmp_path_factory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "s.yaml"
    path.write_bytes(content)
    problems = None
    try:
        load_site(path)
    except ConfigError as error:
        problems = error.problems
    if problems is not None:
        assert problems
        for problem in problems:
            assert problem.line >= 1
            assert problem.column >= 1
            str(problem).encode()


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=120))
def test_random_bytes_raise_nothing_but_config_errors(tmp_path_factory, content):
    only_config_errors(tmp_path_factory, content)


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet="ab:-[]{},&*!|>'\"%@#?~\\ \n\t0x.<ué\u2028", max_size=60))
def test_random_yaml_like_text_raises_nothing_but_config_errors(tmp_path_factory, text):
    only_config_errors(tmp_path_factory, text.encode())


@settings(deadline=None, max_examples=200)
@given(data)
def test_random_structures_raise_nothing_but_config_errors(tmp_path_factory, value):
    import json

    # JSON is YAML, but for the literals Infinity and NaN, which are then plain text.
    only_config_errors(tmp_path_factory, json.dumps(value).encode())


@settings(deadline=None, max_examples=200)
@given(st.integers(0, len(GOOD) - 1), st.integers(0, 12), st.text(max_size=5))
def test_a_damaged_good_file_raises_nothing_but_config_errors(tmp_path_factory, at, cut, put):
    damaged = GOOD[:at] + put + GOOD[at + cut :]
    only_config_errors(tmp_path_factory, damaged.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_site_reaches_another_process_as_it_is(path: Path) -> None:
    """As a unit hands it to its children and a recording keeps it: what was set, and no more, so
    that rules on what must not be set still hold."""
    config = load_site(path)
    passed_on = type(config).model_validate_json(config.model_dump_json(exclude_unset=True))
    assert passed_on == config
    assert passed_on.model_fields_set == config.model_fields_set
