"""What every labeler must do.  `check_labeler(make)` runs it all; CHECKS are the single questions.

`make()` returns a new heed.protocols.Labeler.  One that waits for somebody needs `act(labeler)`, which has its people
answer whatever they are asked; it is called after each `ask`.  `repeatable`: the same question gets the same answer from
every labeler that `make` returns, whenever and beside whatever it is asked.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from heed.feedback.rows import check_judgement, dense
from heed.feedback.store import open_store
from heed.protocols import Labeler
from heed.records import Comparison, Judgement
from heed.testing.store import question

MakeLabeler = Callable[[], Labeler]
Act = Callable[[Labeler], None]
POLLS = 1000


def nobody(labeler: Labeler) -> None:
    """For labelers that answer by themselves."""


def check_labeler(make: MakeLabeler, act: Act = nobody, *, repeatable: bool = False) -> None:
    """Raises AssertionError at the first promise that the labeler does not keep."""
    for check in CHECKS:
        check(make, act)
    if repeatable:
        repeats_itself(make)


def questions(n: int) -> list[Comparison]:
    """Comparisons of two to nine candidates, the same every time."""
    return [question(i, 2 + i % 8) for i in range(n)]


def collected(labeler: Labeler, act: Act, asked: Sequence[Comparison]) -> list[Judgement]:
    """Ask, and wait until each question has an answer."""
    labeler.ask(asked)
    act(labeler)
    found: list[Judgement] = []
    for _ in range(POLLS):
        found += labeler.answers()
        if {c.id for c in asked} <= {j.comparison_id for j in found}:
            break
    return found


def answers_what_was_asked(make: MakeLabeler, act: Act) -> None:
    """Nothing before it is asked; then one answer to each question, by somebody with a name, that fits the question."""
    labeler, asked = make(), questions(12)
    assert isinstance(labeler.name, str) and labeler.name
    assert list(labeler.answers()) == []
    found = collected(labeler, act, asked)
    assert sorted(j.comparison_id for j in found) == sorted(c.id for c in asked)
    assert len({j.id for j in found}) == len(found)
    of = {c.id: c for c in asked}
    for judgement in found:
        assert judgement.labeler
        check_judgement(judgement)
        ranks = dense(judgement, (c.id for c in of[judgement.comparison_id].candidates))
        assert ranks == dict(judgement.ranks), "ranks have no gaps"


def hands_over_once(make: MakeLabeler, act: Act) -> None:
    """`answers()` returns what is new; asking something again is not asking it twice."""
    labeler, asked = make(), questions(8)
    first = collected(labeler, act, asked[:5])
    assert list(labeler.answers()) == []
    second = collected(labeler, act, asked[3:])
    assert {j.comparison_id for j in first} == {c.id for c in asked[:5]}
    new = [j for j in second if j.id not in {old.id for old in first}]
    assert sorted(j.comparison_id for j in new) == sorted(c.id for c in asked[5:])


def answers_fit_a_store(make: MakeLabeler, act: Act) -> None:
    """A store takes its answers, and taking them twice changes nothing."""
    asked = questions(12)
    found = collected(make(), act, asked)
    with tempfile.TemporaryDirectory() as folder, open_store(Path(folder) / "store.db") as store:
        store.add([*asked, *found])
        store.add(found)
        assert store.judgements() == found


def repeats_itself(make: MakeLabeler) -> None:
    """The answer to a question depends on the question alone."""
    asked = questions(24)
    together, backwards = collected(make(), nobody, asked), collected(make(), nobody, asked[::-1])
    labeler, single = make(), []
    for comparison in asked[::2]:
        single += collected(labeler, nobody, [comparison])
    assert _said(together) == _said(backwards)
    assert _said(single).items() <= _said(together).items()


def _said(answers: Sequence[Judgement]) -> dict[str, tuple]:
    return {j.comparison_id: (j.id, j.outcome, list(j.ranks.items())) for j in answers}


CHECKS = (answers_what_was_asked, hands_over_once, answers_fit_a_store)
