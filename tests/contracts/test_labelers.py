"""Every labeler keeps the same promises, whoever answers."""

import pytest

from heed.errors import UserError
from heed.feedback.labelers import LABELERS, labeler_class
from heed.feedback.labelers.human import HumanLabeler
from heed.feedback.labelers.synthetic import SyntheticLabeler
from heed.feedback.store import open_store
from heed.records import Judgement
from heed.testing.labeler import CHECKS, check_labeler, nobody, repeats_itself

MANNERS = {
    "exact": {},
    "human-like": dict(noise=2.0, mistakes=0.1, tie_threshold=0.5, skip=0.1, biases={"words": 0.1, "position": 0.3}),
    "seeded": dict(noise=5.0, seed=7),
}


def length(prompts, completions, topic=None):
    return [len(text) + 3 * text.count("1") for text in completions]


def people(tmp_path):
    stores = (open_store(tmp_path / f"{i}.db") for i in range(9))

    def act(labeler):
        while comparison := labeler.store.claim("ann"):
            ranks = {c.id: 1 + (i > 1) for i, c in enumerate(comparison.candidates)}
            labeler.store.add([Judgement(comparison.id, "ann", ranks)])

    return lambda: HumanLabeler(next(stores)), act


@pytest.fixture(params=[*MANNERS, "people"])
def labeler(request, tmp_path):
    if request.param == "people":
        return people(tmp_path)
    return lambda: SyntheticLabeler(length, **MANNERS[request.param]), nobody


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_labeler(check, labeler):
    check(*labeler)


@pytest.mark.parametrize("manners", MANNERS)
def test_synthetic_labelers_repeat_themselves(manners):
    repeats_itself(lambda: SyntheticLabeler(length, **MANNERS[manners]))


def test_the_suite_finds_a_labeler_who_answers_twice():
    class Eager(SyntheticLabeler):
        def answers(self):
            return list(self._asked.values())

    with pytest.raises(AssertionError):
        check_labeler(lambda: Eager(length))


def test_the_suite_finds_a_labeler_who_depends_on_the_order():
    class Fickle(SyntheticLabeler):
        def judge(self, comparison, scores):
            return super().judge(comparison, [s * (-1) ** len(self._asked) for s in scores])

    with pytest.raises(AssertionError):
        repeats_itself(lambda: Fickle(length))


@pytest.mark.parametrize("name", LABELERS)
def test_the_table_names_labelers(name):
    assert callable(labeler_class(name).ask)


def test_an_unknown_labeler_is_named():
    with pytest.raises(UserError, match="did you mean 'synthetic'"):
        labeler_class("syntetic")
