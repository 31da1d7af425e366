"""docs/checklist.md against the code and the tests that it names."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def rows():
    """The cells of each numbered row: number, what must hold, status, where, test."""
    lines = (ROOT / "docs" / "checklist.md").read_text(encoding="utf-8").splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if re.match(r"\| \d", line)]


@cache
def names_in(path):
    """Names of the test functions of a file."""
    return {node.name for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)}


def test_all_of_them_are_there():
    assert [int(row[0]) for row in rows()] == list(range(1, 40))


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_a_row_is_true(row):
    _, what, status, where, tests = row
    kind = re.match(r"\w+", status).group()
    files, names = re.findall(r"`([\w/]+\.py)`", where), re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", tests)
    assert what and kind in ("implemented", "declined")
    missing = [f for f in files if not (ROOT / "src" / "heed" / f).is_file()]
    missing += [f"{f}::{name}" for f, name in names if not (ROOT / f).is_file() or name not in names_in(ROOT / f)]
    assert not missing, f"not there: {missing}"
    assert kind != "implemented" or (files and names), "say where, and which test would fail without it"
    assert kind != "declined" or len(status) > 20, "say why"
