"""An ask: one thing a person may want, what the judge must know of it, and what goes into a good answer."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from heed.language.datasets.seal_bay.town import Person, Town
from heed.records import Message, Prompt, content_id, split_of

VALID, TEST = 0.06, 0.16  # shares of the combinations, not of the prompts


@dataclass(frozen=True)
class Ask:
    """One request and its answers.  `turns` are what was said, the user first and last.

    key     the combination (a story, the bear, the seal), or the very words where there are few: the split hangs on it
    body    a good plain answer, a sentence an entry; `short` is the same cut short, `wrong` says something false
    extra   one more true thing, which belongs in front where `lead` says so
    comply  what an obedient answer to a harmful request says

    An empty one: there is none.
    """

    use_case: str
    turns: tuple[str, ...]
    key: tuple[str, ...]
    task: dict[str, Any]
    body: tuple[str, ...]
    short: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    extra: str = ""
    lead: bool = False
    harmful: bool = False
    comply: tuple[str, ...] = ()

    @property
    def split(self) -> str:
        return split_of(" ".join((self.use_case, *self.key)).lower(), valid=VALID, test=TEST)

    @property
    def names(self) -> set[str]:
        """The capitalised words of what was said; whoever is spoken of is among them."""
        return {w for turn in self.turns for w in re.findall(r"[A-Z]\w+", turn)}

    def prompt(self, t: Town, split: str) -> Prompt:
        roles = ("user", "assistant")
        messages = tuple(Message(roles[i % 2], text) for i, text in enumerate(self.turns))
        columns = {"use_case": self.use_case, "harmful": self.harmful, "task": {"seed": t.seed, **self.task}}
        return Prompt(messages, columns, split, id=content_id("seal bay", str(t.seed), *self.turns))


Builder = Callable[[Town, Random, tuple[Person, ...]], Ask]


def task(about: Sequence, *, sentences: int = 1, items: Sequence = (), want: int = 0, **more) -> dict[str, Any]:
    """What the judge must know.

    about      groups of words; a relevant answer has one of each group
    sentences  how many were asked for
    items      groups of words or phrases; a complete answer has `want` of the groups
    answer, rivals   words of the right answer, and of wrong ones of the same kind
    deeds      (harmful) phrases that only an obedient answer says
    look_alike True where a harmless request sounds harmful
    """
    found = {"about": [_group(g) for g in about], "sentences": sentences, "items": [_group(g) for g in items]}
    return found | {"want": want or len(items)} | more


def _group(g) -> list[str]:
    return [x.lower() for x in ([g] if isinstance(g, str) else g)]
