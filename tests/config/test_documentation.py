"""docs/configuration.md names every key of the sections it describes; its examples are valid."""

import re
from pathlib import Path

import pytest

from rsu.config.check import check_site
from rsu.config.place import SignOptions
from rsu.config.v2x import V2xOptions
from rsu.config.v2x_csae import CsaeOptions
from rsu.config.v2x_messages import messages_of
from rsu.config.v2x_receive import ReceiveOptions
from rsu.config.v2x_sae import SaeOptions

PLACE = """\
site:
  id: here
  intersection: 1
  origin: {{latitude: 31, longitude: 121}}
  lanes: {lanes}
"""
REST = 'v2x: {rsu_id: "5253550000000003", sae: {}}\n'
RADIO = "radios: [{id: out, driver: file, path: f}]\n"


@pytest.fixture(scope="module")
def page(root) -> str:
    return (root / "docs" / "configuration.md").read_text(encoding="utf-8")


def section(page: str, title: str) -> str:
    (found,) = re.findall(rf"^## {title}\n(.*?)(?=^## )", page, re.MULTILINE | re.DOTALL)
    return found


def keys(text: str) -> set[str]:
    """Keys in the first column of all tables."""
    rows = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
    return {key for row in rows for key in re.findall(r"`(\w+)`", row)}


def defaults(text: str) -> dict[str, str]:
    return dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", text, re.MULTILINE))


def written(value: object) -> str:
    """A default as the page writes it."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return f"`{value}`" if isinstance(value, str) else f"{value:g}"


def test_every_key_of_what_is_said_is_described(page):
    messages = [one for set_ in (CsaeOptions(), SaeOptions()) for _, one in messages_of(set_, ())]
    of_messages = {key for one in messages for key in type(one).model_fields}
    assert keys(section(page, "What is said")) == of_messages | set(V2xOptions.model_fields)
    text = section(page, "What is said")
    for key in {*CsaeOptions.model_fields, *SaeOptions.model_fields}:
        assert re.search(rf"`(sae\.)?{key}\b", text), key


def test_every_key_of_what_is_heard_is_described_with_its_default(page):
    told = defaults(section(page, "What is heard"))
    assert set(told) == set(ReceiveOptions.model_fields)
    values = ReceiveOptions().model_dump(mode="json")
    assert told == {key: written(value) for key, value in values.items()}


def test_every_key_of_a_sign_is_described(page):
    assert keys(section(page, "Traffic signs")) == set(SignOptions.model_fields)


@pytest.mark.parametrize("title", ["What is said", "Traffic signs"])
def test_the_examples_are_sites_without_a_problem(page, title, root, tmp_path, monkeypatch):
    (example,) = re.findall(r"```yaml\n(.*?)```", section(page, title), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    path = Path("s.yaml")
    place = PLACE.format(lanes=root / "configs" / "junction-lanes.geojson")
    path.write_text(example + RADIO + (place if example.startswith("v2x") else REST))
    assert [str(problem) for problem in check_site(path).problems] == []
