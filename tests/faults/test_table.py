"""docs/faults.md is complete and true: every row is there, and every test it names exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROWS = range(1, 41)
WANTED = 30
"""So many rows must be asserted by tests."""
NODE = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


@pytest.fixture(scope="module")
def table(root: Path) -> dict[int, list[str]]:
    """Cells after the number, by row."""
    rows: dict[int, list[str]] = {}
    for line in (root / "docs" / "faults.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("| ") and cells[0].isdigit():
            assert int(cells[0]) not in rows, f"row {cells[0]} is there twice"
            rows[int(cells[0])] = cells[1:]
    return rows


@cache
def functions(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def test_every_row_is_there_with_its_criterion(table: dict[int, list[str]]) -> None:
    assert list(table) == list(ROWS)
    for row, cells in table.items():
        assert len(cells) == 4, f"row {row} has {len(cells) + 1} cells"
        assert all(cells[:2]), f"row {row} says nothing"


def test_every_test_named_exists(root: Path, table: dict[int, list[str]]) -> None:
    for row, (_, _, tests, _) in table.items():
        named = NODE.findall(tests)
        assert len(named) == tests.count("`") // 2, f"row {row} names something else than a test"
        for path, name in named:
            assert (root / path).is_file(), f"row {row}: {path}"
            assert name in functions(root / path), f"row {row}: no {name} in {path}"


def test_a_row_without_a_test_says_why(table: dict[int, list[str]]) -> None:
    for row, (_, _, tests, result) in table.items():
        assert tests or result.startswith("not covered"), f"row {row}"
    assert sum(bool(tests) for _, _, tests, _ in table.values()) >= WANTED


def test_every_test_of_this_folder_is_in_its_row(root: Path, table: dict[int, list[str]]) -> None:
    for path in sorted((root / "tests" / "faults").glob("test_*.py")):
        for name in functions(path):
            found = re.match(r"test_row_(\d\d)_", name)
            if found:
                node = f"`{path.relative_to(root)}::{name}`"
                assert node in table[int(found[1])][2], f"{node} is not in row {found[1]}"
