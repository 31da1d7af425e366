"""Seal Bay: a small town made of a seed, for training a whole RLHF loop on a laptop in minutes.

town.py    who lives there and what is true     tales.py   how things are told
asks_*.py  what people ask, by use case         harm.py    what nobody should be helped with
texts.py   the web of Seal Bay                  prompts.py, demonstrations.py   the records
judge.py   the hidden judge: six parts by rule, which no reward model ever sees
"""

from heed.errors import UserError
from heed.language.datasets.seal_bay.demonstrations import demonstrate
from heed.language.datasets.seal_bay.judge import explain, gold
from heed.language.datasets.seal_bay.prompts import asks
from heed.language.datasets.seal_bay.texts import collect
from heed.language.datasets.seal_bay.town import Town, build, describe
from heed.records import Demonstration, Prompt, Text

__all__ = ["Town", "build", "describe", "explain", "gold", "load"]
SPLITS = ("train", "valid", "test")


def load(want: type, split: str | None = "train", seed: int = 0, limit: int | None = None) -> list:
    """The first `limit` records of kind `want` of the town of `seed`; split None is all three, one after the other.

    Raises UserError for a kind that Seal Bay has none of (it has Text, Prompt and Demonstration), or an unknown split.
    """
    if split is not None and split not in SPLITS:
        raise UserError(f"seal_bay has no split {split!r}; valid choices: {', '.join(SPLITS)}")
    records = []
    for name in SPLITS if split is None else (split,):
        records += _records(want, name, seed)
    return records[:limit]


def _records(want: type, split: str, seed: int) -> list:
    if want is Text:
        return list(collect(seed, split))
    if want is Prompt:
        return [ask.prompt(build(seed), split) for ask in asks(seed, split)]
    if want is Demonstration:
        return [d for d, _ in demonstrate(seed, split)]
    kind = getattr(want, "__name__", want)
    raise UserError(f"seal_bay has no {kind} records; it has Text, Prompt and Demonstration")
