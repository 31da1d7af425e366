"""docs/papers.md against the code: no file without a paper, no row without its code."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "heed"


def rows():
    """The cells of each row of the table: paper, file, names, equation, what is done."""
    lines = [line for line in (ROOT / "docs" / "papers.md").read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def defined(path):
    """Names of the functions and classes at the top of a file."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    return {node.name for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, kinds)}


def test_every_file_has_a_row():
    files = {f"{p.parent.name}/{p.name}" for room in ("equations", "algorithms") for p in (SOURCE / room).glob("*.py")}
    named = {row[1].strip("`") for row in rows()}
    assert {f for f in files if not f.endswith("__init__.py")} == named


def test_every_public_equation_has_a_row():
    for path in (SOURCE / "equations").glob("*.py"):
        named = {name for row in rows() if row[1] == f"`equations/{path.name}`" for name in re.findall(r"`(\w+)`", row[2])}
        missing = {name for name in defined(path) if not name.startswith("_")} - named - {"Kwise"}  # what kwise returns
        assert not missing, f"{path.name}: {missing} stand in no row of docs/papers.md"


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row[0][:24]} {row[2]}")
def test_every_row_is_true(row):
    paper, file, names, equation, done = row
    assert re.search(r"\b(19|20)\d\d\b", paper) and equation
    assert re.match(r"(implemented|declined)\b", done), f"say what is implemented or declined, not {done!r}"
    names = re.findall(r"`(\w+)`", names)
    assert names and set(names) <= defined(SOURCE / file.strip("`"))
