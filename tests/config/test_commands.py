"""`rsu config` as people and scripts use it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from rsu.cli.config_commands import config

SITE = """\
site:
  id: here
  origin: {latitude: 31, longitude: 121}
"""


@pytest.fixture
def rsu(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text(SITE)

    def invoke(*arguments: str):
        result = CliRunner().invoke(config, arguments)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return invoke


def test_check_of_a_good_file_says_ok_and_exits_0(rsu):
    result = rsu("check", "a.yaml")
    assert (result.exit_code, result.output) == (0, "a.yaml: ok: 0 errors, 0 warnings\n")


def test_check_prints_the_problems_of_all_files_and_exits_2(rsu):
    Path("b.yaml").write_text(SITE.replace("id: here", "id: HERE"))
    result = rsu("check", "a.yaml", "b.yaml", "c.yaml")
    assert result.exit_code == 2
    lines = result.output.splitlines()
    assert lines[0] == "a.yaml: ok: 0 errors, 0 warnings"
    assert lines[1].startswith("b.yaml:2:7: site.id: must be a name")
    assert lines[2] == "b.yaml: not ok: 1 error, 0 warnings"
    assert lines[3] == "c.yaml:1:1: cannot be read: No such file or directory"


def test_strict_turns_warnings_into_a_refusal(rsu):
    Path("w.yaml").write_text(SITE + 'v2x: {rsu_id: "5253550000000001"}\n')
    assert rsu("check", "w.yaml").exit_code == 0
    strict = rsu("check", "--strict", "w.yaml")
    assert strict.exit_code == 2
    assert strict.output.endswith("w.yaml: not ok: 0 errors, 1 warning\n")


def test_check_as_json_gives_places_and_suggestions(rsu):
    Path("b.yaml").write_text(SITE.replace("origin", "orign"))
    result = rsu("check", "--json", "b.yaml")
    assert result.exit_code == 2
    assert json.loads(result.output) == [
        {
            "file": "b.yaml",
            "ok": False,
            "problems": [
                {
                    "line": 3,
                    "column": 3,
                    "path": "site.orign",
                    "severity": "error",
                    "message": "unknown key",
                    "suggestion": "origin",
                }
            ],
        }
    ]


def test_show_tells_values_of_the_file_from_defaults(rsu):
    lines = {line.split()[0]: line for line in rsu("show", "a.yaml").output.splitlines()}
    assert lines["site.origin.latitude"].endswith("31.0  # a.yaml:3:22")
    assert lines["site.origin.altitude"].endswith("0.0  # default")
    assert lines["v2x"].endswith("null  # default")


def test_show_names_secret_files_but_never_what_is_in_them(rsu, tmp_path):
    Path("pw").write_text("hunter2")
    Path("s.yaml").write_text(SITE + "uplink: {host: localhost, username: u, password_file: pw}\n")
    shown = rsu("show", "--resolved", "s.yaml").output
    assert "hunter2" not in shown
    assert f'"{tmp_path}/pw"' in shown
    rows = json.loads(rsu("show", "--json", "s.yaml").output)
    (row,) = [row for row in rows if row["path"] == "uplink.password_file"]
    assert (row["value"], row["origin"], row["line"]) == ("pw", "file", 4)
    assert row["description"] == "File with the password."


def test_show_of_a_bad_file_says_why_and_exits_2(rsu):
    Path("b.yaml").write_text("site: 5\n")
    result = rsu("show", "b.yaml")
    assert result.exit_code == 2
    assert result.stderr == "b.yaml:1:7: site: must be a section with keys, not 5\n"


def test_the_schema_names_every_driver_and_describes_fields(rsu):
    schema = json.loads(rsu("schema").output)
    assert schema["$schema"].startswith("https://json-schema.org/")
    source = schema["$defs"]["CameraOptions"]["properties"]["source"]
    assert set(source["discriminator"]["mapping"]) >= {"file", "images", "rtsp", "v4l2", "sim"}
    assert schema["$defs"]["OriginOptions"]["properties"]["latitude"]["maximum"] == 90
    assert rsu("schema", "--out", "x.json").exit_code == 0
    assert json.loads(Path("x.json").read_text()) == schema
    assert rsu("schema", "--out", "no/such/folder").exit_code == 2


def test_diff_ignores_order_and_notation(rsu):
    Path("b.yaml").write_text(
        "# same\nruntime: {}\nsite: {origin: {longitude: 1.21e2, latitude: 31.0}, id: here}\n"
    )
    result = rsu("diff", "a.yaml", "b.yaml")
    assert (result.exit_code, result.output) == (0, "")


def test_diff_names_what_differs_and_exits_1(rsu):
    Path("b.yaml").write_text(
        SITE.replace("31", "32") + "radios:\n  - {id: out, driver: file, path: f}\n"
    )
    result = rsu("diff", "a.yaml", "b.yaml")
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert "site.origin.latitude: 31.0 → 32.0" in lines
    assert 'radios[out].path: absent → "f"' in lines
    rows = json.loads(rsu("diff", "--json", "a.yaml", "b.yaml").output)
    assert {"path": "site.origin.latitude", "old": 31.0, "new": 32.0} in rows
    assert {"path": "radios[out].path", "new": "f"} in rows


def test_diff_recognises_a_camera_by_its_id(rsu, root):
    text = (root / "configs" / "junction.yaml").read_text()
    first = text.index("  - id: north-east")
    second = text.index("  - id: south-west")
    end = text.index("radars:")
    Path("one.yaml").write_text(text)
    Path("two.yaml").write_text(text[:first] + text[second:end] + text[first:second] + text[end:])
    assert rsu("diff", "one.yaml", "two.yaml").output == ""


def test_diff_with_an_unreadable_file_exits_2(rsu):
    assert rsu("diff", "a.yaml", "nope.yaml").exit_code == 2


@pytest.mark.parametrize("command", ["check", "show", "schema", "diff"])
def test_every_command_helps_with_an_example(rsu, command):
    result = rsu(command, "--help")
    assert result.exit_code == 0
    assert "Example:\n    rsu config " in result.output
    assert "--json" in result.output
