"""Which split a record belongs to: what its row says, else what its file says, else a hash of its prompt."""

import re
from dataclasses import dataclass
from typing import Any

from heed.records import Split, split_of

NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
    "dev": "valid",
    "eval": "valid",
    "valid1": "valid",
    "valid2": "valid",
    "test": "test",
    "testing": "test",
}


def named_split(text: Any) -> Split | None:
    """The split a file or column names: `harmless-base__test.jsonl` is test, `valid2` is valid; the last such word counts."""
    if not isinstance(text, str):
        return None
    words = [NAMES[word] for word in re.split(r"[^a-z0-9]+", text.lower()) if word in NAMES]
    return words[-1] if words else None


@dataclass(frozen=True)
class SplitRule:
    """How one file decides.

    `given` is what its name says.  With `carve`, train prompts whose hash says valid become valid: the source names its
    splits but has no validation part, and choosing by the test part would spoil it.  `forced` ignores what rows say.
    """

    given: Split | None = None
    carve: bool = False
    forced: bool = False

    def of(self, row_says: Any, key: str) -> Split:
        """The split of a record whose row says `row_says` and whose prompt has the identity `key`."""
        own = None if self.forced else named_split(row_says)
        if own:
            return own
        if self.given is None:
            return split_of(key)
        if self.given == "train" and self.carve and split_of(key) == "valid":
            return "valid"
        return self.given
