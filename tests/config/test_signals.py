"""Signal controllers in a site file: read by their driver, mistakes placed, ids the unit's own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rsu.config.check import check_site
from rsu.config.signals import FixedPlanOptions, Gbt20999Options, TscbmOptions

SITE = """site: {id: s, origin: {latitude: 31, longitude: 121}}
signals:
  - {id: a, driver: tscbm, groups: [{group: 1, number: 2}]}
"""


def said(folder: Path, text: str) -> list[str]:
    path = folder / "s.yaml"
    path.write_text(text)
    return [str(problem).partition("s.yaml:")[2] for problem in check_site(path).errors]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("tscbm", "tscbn", "3:21: signals[0].driver: 'tscbn' is not one of tscbm, gbt20999, "
         "fixed_plan (did you mean tscbm?)"),
        ("number: 2", "number: 17", "groups[0].number"),
        ("group: 1,", "groop: 1,", "did you mean group?"),
        ("number: 2}", "number: 2}, {group: 1, number: 3}", "groups[1].group: 1 occurs twice"),
        ("  - {id: a", "  - {id: a, driver: gbt20999, host: h, port: 1}\n  - {id: a",
         "'a' is already the id of signals[0]"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_at_its_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    problems = said(tmp_path, SITE.replace(old, new, 1))
    assert len(problems) == 1
    assert message in problems[0]


def test_the_examples_of_the_documentation_are_valid(tmp_path: Path, root: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (root / "docs" / "signals.md").read_text(), re.DOTALL)
    kinds = []
    for block in blocks:
        path = tmp_path / "s.yaml"
        path.write_text(SITE.splitlines()[0] + "\n" + block)
        report = check_site(path)
        assert not report.errors
        assert report.config is not None
        kinds.append(type(report.config.signals[0]))
    assert kinds == [TscbmOptions, Gbt20999Options, FixedPlanOptions]
