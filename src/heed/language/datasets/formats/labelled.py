"""Texts with a label, for a sentiment reward (Ziegler et al. 2019) and for continued pretraining.

    aclImdb/{train,test}/{pos,neg,unsup}/<id>_<stars>.txt     IMDb reviews (Maas et al. 2011), 1 to 10 stars
    {text | sentence, label: 0 or 1}                          SST-2 and the hub's IMDb; -1 is no label

Each text is a Text, and a Rating of that text as the answer to an empty prompt.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from heed.language.datasets.build import rating
from heed.language.datasets.row import Row, Skip
from heed.language.datasets.splits import SplitRule, named_split
from heed.records import Prompt, Rating, Text, content_id

TITLE = "labelled texts"
SHAPES = (("text", "label"), ("sentence", "label"))

REVIEW = re.compile(r"(?:^|/)(train|test)/(pos|neg|unsup)/(\d+)_(\d+)\.txt$")
# Reviews that a widely copied repository overwrote with reviews of phone apps.
OVERWRITTEN = {
    ("test", "pos"): {"0_10", "2_7", "7_9", "9_7"},
    ("train", "pos"): {"0_9", "7_7"},
    ("train", "neg"): {"2_1", "9_1"},
}


def matches(values: Mapping[str, Any]) -> bool:
    """An IMDb path, or a text with a label."""
    path = values.get("path")
    if isinstance(path, str) and REVIEW.search(path):
        return True
    return "label" in values and ("text" in values or "sentence" in values) and "prompt" not in values


def read(row: Row) -> Iterator[Text | Rating]:
    """The text, and its rating where it is labelled."""
    if "label" in row.values:
        text = row.text("text" if "text" in row.values else "sentence")
        label = row.whole("label")
        split = row.document(text).split
        score = None if label < 0 else {"label": float(label)}
        low, high = 0.0, 1.0
        if label > 1:
            raise row.wrong("label", "0, 1, or -1 for none")
    else:
        said, side, number, stars = REVIEW.search(row.text("path")).groups()
        text = row.text("text").replace("<br /><br />", "\n\n").replace("<br />", "\n")
        if f"{number}_{stars}" in OVERWRITTEN.get((said, side), ()):
            raise Skip("reviews that the copy of IMDb in circulation overwrote")
        score = {"stars": float(stars)} if side != "unsup" else None
        low, high = 1.0, 10.0
        rule = row.rule if row.rule.forced else SplitRule(named_split(said), carve=True)
        split = rule.of(None, content_id(text))
    yield Text(text, split)
    if score is not None:
        yield rating(Prompt("", {}, split, content_id(text)), text, score, low, high)
