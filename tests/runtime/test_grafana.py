"""The Grafana dashboard asks for metrics that the code makes, and for no others."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

MADE = re.compile(r'meter\.(?:count|total|gauge|observe)\(\s*"([a-z_]+)"', re.DOTALL)
NUMBERS = re.compile(r'^ {12}"([a-z_]+)": self\._', re.MULTILINE)


@pytest.fixture(scope="session")
def dashboard(root: Path) -> dict[str, Any]:
    text = (root / "docs" / "grafana" / "rsu-dashboard.json").read_text(encoding="utf-8")
    read: dict[str, Any] = json.loads(text)
    return read


@pytest.fixture(scope="session")
def made(root: Path) -> set[str]:
    """Names of metrics as the code writes them."""
    names: set[str] = set()
    for file in sorted((root / "rsu").rglob("*.py")):
        names |= set(MADE.findall(file.read_text(encoding="utf-8")))
    condition = (root / "rsu" / "runtime" / "condition.py").read_text(encoding="utf-8")
    return names | set(NUMBERS.findall(condition))


def test_every_expression_uses_a_metric_that_exists(
    dashboard: dict[str, Any], made: set[str]
) -> None:
    assert {"age_seconds", "shed_level", "uplink_queued", "build_info"} <= made
    expressions = [t["expr"] for panel in dashboard["panels"] for t in panel["targets"]]
    assert len(expressions) >= 20
    asked = {name for one in expressions for name in re.findall(r"\brsu_([a-z_]+)", one)}
    assert asked <= made, asked - made


def test_panels_do_not_overlap_and_name_their_source(dashboard: dict[str, Any]) -> None:
    cells: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        assert panel["datasource"]["uid"] == "${source}"
        at = panel["gridPos"]
        own = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not own & cells, panel["title"]
        assert at["x"] + at["w"] <= 24
        cells |= own
