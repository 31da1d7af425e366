"""One file a format: how its rows become records.

A format is a module with
    TITLE   what a person calls it
    SHAPES  the columns that make a row one of its own, one tuple a variant
    matches(values) -> bool                  is this row one of mine?
    read(row) -> iterable of records         UserError for a wrong row, Skip for one with nothing to learn from
    gather(rows) -> rows                     only where several rows make one

The first format that matches wins, so the particular stand before the general.
"""

from importlib import import_module
from types import ModuleType

FORMATS: dict[str, str] = {
    "records": "heed.language.datasets.formats.records",
    "hh": "heed.language.datasets.formats.hh",
    "tldr": "heed.language.datasets.formats.tldr",
    "tldr_queries": "heed.language.datasets.formats.tldr_queries",
    "red_team": "heed.language.datasets.formats.red_team",
    "oasst": "heed.language.datasets.formats.oasst",
    "fine_grained": "heed.language.datasets.formats.fine_grained",
    "pandalm": "heed.language.datasets.formats.pandalm",
    "shp": "heed.language.datasets.formats.shp",
    "webgpt": "heed.language.datasets.formats.webgpt",
    "ultrafeedback": "heed.language.datasets.formats.ultrafeedback",
    "nemo": "heed.language.datasets.formats.nemo",
    "group": "heed.language.datasets.formats.group",
    "chatllama": "heed.language.datasets.formats.chatllama",
    "labelled": "heed.language.datasets.formats.labelled",
    "toxicity": "heed.language.datasets.formats.toxicity",
    "dolly": "heed.language.datasets.formats.dolly",
    "sharegpt": "heed.language.datasets.formats.sharegpt",
    "alpaca": "heed.language.datasets.formats.alpaca",
    "questions": "heed.language.datasets.formats.questions",
    "trl": "heed.language.datasets.formats.trl",
}


def format_module(name: str) -> ModuleType:
    """The module of a format in the table."""
    return import_module(FORMATS[name])
