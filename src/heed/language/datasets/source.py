"""What a source string names: an embedded dataset, local files, or a hub name, with options behind a question mark.

seal_bay:7      data/pairs.jsonl.gz      data/      Anthropic/hh-rlhf
pairs.jsonl?format=trl            read as this format, whatever it looks like
pairs.jsonl?split=hash            ignore file names and split columns: divide by a hash of the prompt
pairs.jsonl?prompt=question       the column that heed calls `prompt` is called `question` there
stories.txt?opening=16            where texts are read as prompts to continue, these are their first 16 words (else 8)
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl

from heed.errors import UserError, nearest
from heed.language.datasets.formats import FORMATS

NAMED: dict[str, str] = {"seal_bay": "heed.language.datasets.seal_bay"}  # embedded datasets
SPLITS = ("train", "valid", "test", "hash")


@dataclass(frozen=True)
class Source:
    """A source string, taken apart."""

    name: str  # what stands before the question mark
    format: str | None = None
    split: str | None = None
    rename: dict[str, str] = field(default_factory=dict)  # column there -> column here
    opening: int = 8  # words of a text that are the prompt to continue it


def parse(source: str) -> Source:
    """The parts of a source string; UserError for an unknown format or split."""
    if not isinstance(source, str) or not source.strip():
        raise UserError("a dataset should be a name, a file, a folder or a hub name; this one is empty")
    name, mark, query = source.partition("?")
    if not mark or Path(source).exists():
        return Source(source)
    try:
        options = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True))
    except ValueError:
        raise UserError(f"{source}: after the question mark there should be key=value pairs joined by &") from None
    form, split = options.pop("format", None), options.pop("split", None)
    if form is not None and form not in FORMATS:
        raise UserError(f"{source}: unknown format {form!r}{nearest(form, FORMATS)}")
    if split is not None and split not in SPLITS:
        raise UserError(f"{source}: unknown split {split!r}{nearest(split, SPLITS)}")
    opening = options.pop("opening", "8")
    if not opening.isdigit() or int(opening) < 1:
        raise UserError(f"{source}: opening should be a number of words, not {opening!r}")
    return Source(name, form, split, {there: here for here, there in options.items()}, int(opening))


def is_hub_name(name: str) -> bool:
    """`organisation/dataset` or `organisation/dataset:config`, and nothing that looks like a path or a file."""
    return bool(re.fullmatch(r"[\w][\w.-]*/[\w][\w.-]*(:[\w.-]+)?", name)) and not re.search(
        r"\.(jsonl?|csv|parquet|txt|tar|gz|xz)\b", name
    )
