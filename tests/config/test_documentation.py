"""docs/configuration.md names every key of the sections it describes; its examples are valid. Links
of all pages lead somewhere, and every page can be reached from README.md."""

import re
from pathlib import Path

import pytest

from rsu.config.check import check_site
from rsu.config.model import SiteConfig
from rsu.config.place import SignOptions
from rsu.config.simulation import ObuOptions, SimulationOptions
from rsu.config.situation import SituationOptions
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
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return (
            ", ".join(f"{one}" if isinstance(one, str) else f"{one:g}" for one in value) or "none"
        )
    return f"`{value}`" if isinstance(value, str) else f"{value:g}"


def test_every_section_is_listed(page):
    assert keys(section(page, "The file")) == set(SiteConfig.model_fields)


def test_every_key_of_the_situation_is_described_with_its_default(page):
    rows = re.findall(
        r"^\| `([\w.]+)` \| (.*?) \|", section(page, "What the scene means"), re.MULTILINE
    )
    parts = SituationOptions().model_dump(mode="json")
    assert dict(rows) == {
        f"{part}.{key}": written(value)
        for part, options in parts.items()
        for key, value in options.items()
    }


def test_every_key_of_the_simulated_world_is_described_with_its_default(page):
    told = section(page, "The simulated world")
    assert keys(told) == set(SimulationOptions.model_fields)
    values = SimulationOptions().model_dump(mode="json")
    single = defaults(told)
    assert single == {key: written(values[key]) for key in single}
    for key in ObuOptions.model_fields:
        assert f"`{key}`" in told


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


def links(page: Path) -> set[str]:
    """Targets of a page's links within the project, as they are written."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    found = re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", text)
    return {one for one in found if not re.match(r"[a-z]+:", one)}


def anchors(page: Path) -> set[str]:
    """Names of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.strip().lower()).replace(" ", "-") for one in headings}


def test_links_lead_somewhere_and_every_page_can_be_reached(root):
    dead: list[str] = []
    seen: set[Path] = set()
    ahead = [root / "README.md"]
    while ahead:
        page = ahead.pop()
        if page in seen:
            continue
        seen.add(page)
        for link in links(page):
            name, _, anchor = link.partition("#")
            target = (page.parent / name).resolve() if name else page
            if not target.exists() or (anchor and anchor not in anchors(target)):
                dead.append(f"{page.relative_to(root)}: {link}")
            elif target.is_dir():
                ahead += target.glob("*.md")
            elif target.suffix == ".md":
                ahead.append(target)
    assert dead == []
    assert set((root / "docs").rglob("*.md")) - seen == set()
