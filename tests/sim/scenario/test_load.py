"""Scenario files: the shipped ones load, mistakes are told with their places."""

from __future__ import annotations

from pathlib import Path

import pytest

from rsu.config.problems import ConfigError
from rsu.sim.errors import SimulationError
from rsu.sim.scenario.load import find_scenario, load_scenario, scenario_names
from rsu.sim.scenario.model import Scenario

GOOD = """title: A test
site: {site}
duration_s: 60
script:
  - {{at_s: 3, do: stop-vehicle, lane: in-n-2, station: 80, duration_s: 4}}
expect:
  - {{expect: message, message: RSM, during_s: [5, 60], rate_hz: [9, 60]}}
"""


@pytest.fixture
def written(root: Path, tmp_path: Path) -> Path:
    path = tmp_path / "one.yaml"
    path.write_text(GOOD.format(site=root / "configs" / "junction.yaml"), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", scenario_names())
def test_every_shipped_scenario_loads(name: str) -> None:
    loaded = load_scenario(find_scenario(name))
    assert loaded.scenario.expect
    assert loaded.site_map.lanes


def test_twenty_are_shipped() -> None:
    assert len(scenario_names()) >= 20


def test_a_scenario_of_ones_own_loads(written: Path) -> None:
    assert load_scenario(written).scenario.title == "A test"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("stop-vehicle", "stop-vehicel", "5:19: script[0].do: 'stop-vehicel' is not one of"),
        ("in-n-2", "in-n-3", "script[0].lane: no lane 'in-n-3' at this site (did you mean in-n-2"),
        ("station: 80", "station: 800", "is beyond the end of in-n-2"),
        ("at_s: 3,", "at_s: 99,", "script[0].at_s: comes after the scenario's end"),
        ("duration_s: 4}", "duration_s: -4}", "script[0].duration_s: must be greater than 0"),
        ("[5, 60]", "[60, 5]", "expect[0].during_s: is empty"),
        ("[5, 60]", "[5, 90]", "expect[0].during_s: reaches beyond"),
        ("title: A test", "titel: A test", "1:1: titel: unknown key (did you mean title?)"),
        ("junction.yaml", "junktion.yaml", "2:7: site: there is no site file"),
        ("expect: message", "expect: mesage", "'mesage' is not one of"),
        (
            "do: stop-vehicle, lane: in-n-2, station: 80, duration_s: 4",
            "do: fail-sensor, sensor: north-eat, duration_s: 4",
            "no sensor 'north-eat' at this site (did you mean north-east?)",
        ),
        (
            "do: stop-vehicle, lane: in-n-2, station: 80, duration_s: 4",
            "do: wrong-way, lane: in-n-2", "in-n-2 is no exit lane",
        ),
        (
            "do: stop-vehicle, lane: in-n-2, station: 80, duration_s: 4",
            "do: park-illegally, lane: in-n-2, zone: box, duration_s: 4", "exactly one of lane",
        ),
        (
            "do: stop-vehicle, lane: in-n-2, station: 80, duration_s: 4",
            "do: parking-demand, lot: west, arrivals_per_hour: 9", "no lot 'west'",
        ),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_their_places(written: Path, old: str, new: str, told: str) -> None:
    text = written.read_text(encoding="utf-8")
    assert old in text
    written.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_scenario(written)
    assert told in str(caught.value)


def test_an_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(SimulationError, match="did you mean wrong-way"):
        find_scenario("wrong-wya")


def test_the_documented_example_loads(root: Path, tmp_path: Path) -> None:
    text = (root / "docs" / "scenarios.md").read_text(encoding="utf-8")
    example = text.split("```yaml\n")[1].split("```")[0]
    assert "../junction.yaml" in example
    path = tmp_path / "example.yaml"
    site = str(root / "configs" / "junction.yaml")
    path.write_text(example.replace("../junction.yaml", site), encoding="utf-8")
    loaded = load_scenario(path).scenario
    assert len(loaded.script) == 1
    assert [one.expect for one in loaded.expect] == ["event", "message"]


def test_every_action_and_expectation_is_documented(root: Path) -> None:
    text = (root / "docs" / "scenarios.md").read_text(encoding="utf-8")
    schema = Scenario.model_json_schema()["$defs"]
    missing = [
        f"{name}.{key}"
        for name, model in schema.items()
        for tag in ("do", "expect")
        if tag in model.get("properties", {})
        for key in model["properties"]
        if key not in (tag, "at_s") and f"`{key}`" not in row(text, model["properties"][tag])
    ]
    assert missing == []


def row(text: str, tag: dict[str, str]) -> str:
    """The table's row of an action or expectation; `later` is told below its table."""
    (found,) = [line for line in text.splitlines() if line.startswith(f"| `{tag['const']}` |")]
    return found + "`later`"


def test_every_shipped_scenario_is_documented(root: Path) -> None:
    text = (root / "docs" / "scenarios.md").read_text(encoding="utf-8")
    assert [name for name in scenario_names() if f"`{name}`" not in text] == []
