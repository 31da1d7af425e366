"""What heed itself writes: one record a line, by `heed.records.to_json`."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from heed.errors import UserError
from heed.language.datasets.row import Row, Skip
from heed.records import KINDS, Comparison, Judgement, Ranking, Record, from_json

TITLE = "heed records"
SHAPES = (("kind",),)


def matches(values: Mapping[str, Any]) -> bool:
    """A `kind` that heed knows."""
    return isinstance(values.get("kind"), str) and values["kind"] in KINDS


def read(row: Row) -> Iterator[Record]:
    """The record, if it is whole."""
    kind = row.text("kind")
    try:
        record = from_json(row.values)
        faulty = fault(record)
    except KeyError as error:
        raise row.wrong(f"kind ({kind})", f"a record with {error}") from None
    except (TypeError, AttributeError) as error:
        raise UserError(f"{row.place}: not a {kind} as heed writes it ({error})") from None
    if faulty:
        raise UserError(f"{row.place}: {faulty}")
    if isinstance(record, Ranking) and record.judgement.outcome != "answered":
        raise Skip("questions that were not answered")
    if row.rule.forced:
        record = moved(record, row)
    yield record


def fault(record: Record) -> str | None:
    """What cannot be in a record, though its fields are all there."""
    prompt = getattr(record, "prompt", None)
    content = getattr(prompt, "content", "")
    if not isinstance(content, str | tuple):
        return f"the prompt's content should be text or turns, not {type(content).__name__}"
    comparison = record.comparison if isinstance(record, Ranking) else record if isinstance(record, Comparison) else None
    if comparison is not None:
        ids = [c.id for c in comparison.candidates]
        if len(set(ids)) < len(ids):
            return "two candidates have the same id"
        if not all(isinstance(c.text, str) for c in comparison.candidates):
            return "a candidate without text"
    judgement = record.judgement if isinstance(record, Ranking) else record if isinstance(record, Judgement) else None
    if judgement is not None and not all(isinstance(r, int) and r > 0 for r in judgement.ranks.values()):
        return "ranks should be whole numbers from 1 (best)"
    if isinstance(record, Ranking) and judgement.outcome == "answered":
        unknown = sorted(set(judgement.ranks) ^ set(ids))
        if unknown:
            return f"the ranks and the candidates differ: {unknown[0]!r} stands on one side only"
    return None


def moved(record: Record, row: Row) -> Record:
    """The record in the split that the source's `?split=` asks for."""
    if isinstance(record, Judgement):
        return record
    if hasattr(record, "text"):
        return row.document(record.text)
    if isinstance(record, Ranking):
        return replace(record, comparison=moved(record.comparison, row))
    if hasattr(record, "content"):
        return replace(record, split=row.prompt(record.content).split)
    return replace(record, prompt=moved(record.prompt, row))
