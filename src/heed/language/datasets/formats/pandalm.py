"""PandaLM's test set (Wang et al. 2023): two answers to an instruction, judged by three people, ties allowed.

{instruction, input, response1, response2, annotator1, annotator2, annotator3, cmp_key: "model1_model2"}
an annotator's answer is 1, 2, or 0 for a tie; each gives one ranking under the annotator's name
"""

from collections.abc import Iterator, Mapping
from typing import Any

from heed.language.datasets.build import ranking
from heed.language.datasets.formats.alpaca import asked
from heed.language.datasets.row import Row, Skip
from heed.records import Ranking

TITLE = "PandaLM judgements"
SHAPES = (("instruction", "response1", "response2", "annotator1"),)
ORDER = {0: (1, 1), 1: (1, 2), 2: (2, 1)}


def matches(values: Mapping[str, Any]) -> bool:
    """Two responses by number."""
    return "response1" in values and "response2" in values


def read(row: Row) -> Iterator[Ranking]:
    """One ranking of two for each annotator who answered."""
    prompt = asked(row, row.text("input", None))
    models = str(row.get("cmp_key", "")).split("_")
    annotators = [key for key in row.values if key.startswith("annotator") and row.values[key] is not None]
    if not annotators:
        raise Skip("no annotator answered")
    for annotator in annotators:
        yield ranking(
            row.prompt(prompt.content, {"motivation_app": row.get("motivation_app", None)}),
            [spoken(row, "response1"), spoken(row, "response2")],
            ORDER[row.whole(annotator, (0, 1, 2))],
            labeler=annotator,
            made_by=models if len(models) == 2 else None,
        )


def spoken(row: Row, key: str) -> str:
    """An answer; "True" and "4" were written to the file as JSON's true and 4."""
    value = row.get(key)
    return str(value) if isinstance(value, bool | int | float) else row.text(key)
