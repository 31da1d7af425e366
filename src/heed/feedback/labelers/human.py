"""People answer through the store, with `claim` and `add`, wherever they sit; this side only asks and collects."""

from collections.abc import Sequence

from heed.protocols import Store
from heed.records import Comparison, Judgement


class HumanLabeler:
    """All the people who answer in one store; a heed.protocols.Labeler.  Their judgements carry their own names."""

    name = "people"

    def __init__(self, store: Store):
        self.store = store
        self._asked: set[str] = set()
        self._seen: set[str] = set()

    def ask(self, comparisons: Sequence[Comparison]) -> None:
        """Put the comparisons where people find them."""
        self.store.add(comparisons)
        self._asked |= {c.id for c in comparisons}

    def answers(self) -> list[Judgement]:
        """Answers to what was asked that no earlier call returned, those given before this object was made included."""
        new = [j for j in self.store.judgements() if j.comparison_id in self._asked and j.id not in self._seen]
        self._seen |= {j.id for j in new}
        return new
