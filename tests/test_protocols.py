"""docs/protocols.md against heed/protocols.py: every seam with its methods, and every name on the page is there."""

import dataclasses
import importlib
import inspect
import re
from pathlib import Path

import pytest

from heed import protocols

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "protocols.md").read_text(encoding="utf-8")
ROWS = {cells[0].strip("` "): cells for cells in
        ([c.strip() for c in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("| `"))}
OWN = {name: kind for name, kind in vars(protocols).items() if inspect.isclass(kind) and kind.__module__ == protocols.__name__}


def names(cell):
    return re.findall(r"`([^`]+)`", cell)


def test_the_page_lists_exactly_what_the_file_has():
    assert set(ROWS) == set(OWN)


@pytest.mark.parametrize("name", OWN)
def test_every_method_and_field_is_named(name):
    kind = OWN[name]
    if dataclasses.is_dataclass(kind):
        has = {f.name for f in dataclasses.fields(kind)}
    else:
        has = {n for n, v in vars(kind).items() if inspect.isfunction(v) and (not n.startswith("_") or n == "__call__")}
        has |= set(vars(kind).get("__annotations__", {}))
        has.discard("__init__")
    assert set(names(ROWS[name][1])) == has


KEPT = [(name, keeper) for name, cells in ROWS.items() if len(cells) > 3 for keeper in names(cells[3])]


@pytest.mark.parametrize(("protocol", "named"), KEPT)
def test_who_is_said_to_keep_it_is_there_and_has_the_methods(protocol, named):
    module, _, attribute = named.partition(":")
    found = getattr(importlib.import_module(module), attribute)
    for method in names(ROWS[protocol][1]):
        assert hasattr(found, method) or method in inspect.signature(found).parameters, f"{named} has no {method}"


@pytest.mark.parametrize("cell", [cells[4] for cells in ROWS.values() if len(cells) > 4], ids=lambda c: c[:40])
def test_how_to_check_one_is_there(cell):
    for name in names(cell):
        module, colon, attribute = name.partition(":")
        if colon:
            assert callable(getattr(importlib.import_module(module), attribute))
        else:
            assert (ROOT / name).is_file()


def test_every_seam_says_what_it_is_for():
    assert all(inspect.getdoc(kind) for kind in OWN.values())
