"""One file a format: how its rows become records.

A format is a module with
    TITLE   what a person calls it
    SHAPES  the columns that make a row one of its own, one tuple a variant
    matches(values) -> bool                  is this row one of mine?
    read(row) -> iterable of records         UserError for a wrong row, Skip for one with nothing to learn from

The first format that matches wins, so the particular stand before the general.
"""

from importlib import import_module
from types import ModuleType

FORMATS: dict[str, str] = {
    "hh": "heed.language.datasets.formats.hh",
    "tldr": "heed.language.datasets.formats.tldr",
    "trl": "heed.language.datasets.formats.trl",
}


def format_module(name: str) -> ModuleType:
    return import_module(FORMATS[name])
