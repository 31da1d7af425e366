"""Final figures as a table for the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from heed.evaluation.words import number


def aligned(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as aligned text, columns in the order of first appearance: words to the left, numbers to the right.

    An interval, {"value", "low", "high"}, is written `0.71 [0.66, 0.76]`; what is missing is a dash.
    """
    if not rows:
        return ""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    texts = [[_cell(row.get(name)) for name in columns] for row in rows]
    right = [all(not isinstance(row.get(name), str) for row in rows) for name in columns]
    widths = [max(map(len, column)) for column in zip(columns, *texts, strict=True)]
    lines = [columns, ["-" * width for width in widths], *texts]
    return "\n".join(
        "  ".join(_pad(*cell) for cell in zip(line, widths, right, strict=True)).rstrip() for line in lines
    )


def table(summary: Mapping[str, Any]) -> str:
    """The final figures of a stage, one a line: name, value with its interval, how many units it rests on."""
    rows = []
    for name, figure in summary.items():
        n = figure.get("n") if isinstance(figure, Mapping) else None
        rows.append({"figure": name, "value": figure, "n": n})
    return aligned(rows)


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        interval = f" [{number(value['low'])}, {number(value['high'])}]" if "low" in value else ""
        return number(value["value"]) + interval
    if value is None:
        return "-"
    if isinstance(value, int | float):
        return number(value)
    return "".join(
        c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(value)
    )  # no escape codes from files


def _pad(text: str, width: int, right: bool) -> str:
    return text.rjust(width) if right else text.ljust(width)
