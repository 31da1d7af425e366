"""heed collect: from policies to answers; whatever it is stopped by, nothing is lost and nothing is asked twice."""

import json
import sys
from collections import Counter

import numpy as np
import pytest

from heed.config import make
from heed.errors import UserError
from heed.feedback.desk import Desk
from heed.feedback.models import Models
from heed.feedback.store import open_store
from heed.feedback.work import Work
from heed.records import Candidate, Comparison, Prompt, new_id, to_json
from heed.workflows import choosing
from heed.workflows.checkpoints import checkpoint_id
from heed.workflows.collect import Collect, run
from heed.workflows.label import read_samples

CRASHES = {"once the candidates are there": "heed.workflows.collect.candidates",
           "before the choice is on disk": "heed.workflows.choosing.choose",
           "before the questions are in the store": "heed.feedback.work.Work.ask",
           "before the answers are": "heed.feedback.store.SQLStore.add",
           "before the summary": "heed.training.run.Run.finish"}  # fmt: skip


SHORT = "def short(prompts, completions, **columns):\n    return [-0.1 * len(c) for c in completions]\n"
DIVERSE = dict(tasks=12, query="diversity", overlap=2)


def at(folder, sft, data, name, **more):
    """heed collect into folder/name."""
    return run(make(Collect, {**dict(
        output_dir=str(folder / name), store=str(folder / "store.db"), model=sft, dataset=data["demonstrations"],
        splits=["train", "valid"], max_prompts=16, num_generations=3, max_completion_length=8,
        reward_function="rewards_of_test_collect:short", noise=0.3, labelers=2), **more}))


@pytest.fixture(scope="module", autouse=True)
def rewards(tmp_path_factory):
    """A module of reward functions."""
    folder = tmp_path_factory.mktemp("rewards")
    (folder / "rewards_of_test_collect.py").write_text(SHORT)
    sys.path.insert(0, str(folder))
    yield
    sys.path.remove(str(folder))


@pytest.fixture(scope="module")
def whole(sft, data, rewards, tmp_path_factory):
    """(figures, content of the store) of a collect that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    return at(folder, sft, data, "out", **DIVERSE), content(folder / "store.db")


@pytest.fixture
def collect(sft, data, tmp_path):
    """collect("out", query=...) -> its figures."""
    return lambda name="out", **more: at(tmp_path, sft, data, name, **more)


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "store.db") as store:
        yield store


def content(path):
    """All questions and answers, without the clock and without the folder, which is part of a completion's id."""
    with open_store(path, create=False) as store:
        of = {a.id: (c.prompt.id, place) for c in store.comparisons() for place, a in enumerate(c.candidates)}
        return ([(c.prompt, [(a.text, a.made_by, a.tokens) for a in c.candidates]) for c in store.comparisons()],
                [(j.labeler, [(of[id], rank) for id, rank in j.ranks.items()]) for j in store.judgements()])


def values(figures):
    return {k: v for k, v in figures.items() if k != "seconds"}


def test_a_policy_is_judged(collect, store, sft):
    figures = collect(tasks=10, overlap=2)
    assert (figures["comparisons"], figures["answers"]) == (10, 20) and figures["could"] <= 16
    assert figures["agreement"]["low"] < figures["agreement"]["value"] <= figures["agreement"]["high"]
    questions, id = store.comparisons(), checkpoint_id(sft)
    assert {a.made_by for c in questions for a in c.candidates} == {id} and id.startswith("sft@")
    assert all(1 < len({a.text for a in c.candidates}) == len(c.candidates) <= 3 for c in questions), "no text twice"
    made = Models(store).checkpoint(id)
    assert (made.role, made.path, made.step) == ("policy", sft, 6)
    assert made.parent.startswith("pretrain@"), "what it was made from is known too"
    candidate = questions[0].candidates[0]
    assert candidate.tokens and candidate.logprob < 0 and candidate.sampling["temperature"] == 1.0


@pytest.mark.parametrize("moment", CRASHES)
def test_stopped_at_any_moment_it_ends_the_same(moment, collect, whole, tmp_path, monkeypatch):
    with monkeypatch.context() as broken:
        def crash(*_, **__):
            raise KeyboardInterrupt
        broken.setattr(CRASHES[moment], crash)
        with pytest.raises(KeyboardInterrupt):
            collect(**DIVERSE)
    figures = collect(**DIVERSE)
    assert values(figures) == values(whole[0]) and figures["comparisons"] == 12
    assert content(tmp_path / "store.db") == whole[1]
    assert collect(**DIVERSE) == figures and content(tmp_path / "store.db") == whole[1], "and done is done"


def test_another_collect_asks_about_something_else(collect, store):
    collect("one", tasks=6)
    first = {c.id for c in store.comparisons()}
    collect("two", tasks=6)
    assert len(first) == 6 and len({c.id for c in store.comparisons()} - first) == 6
    collect("three")
    with pytest.raises(UserError, match="all of them were asked before"):
        collect("four")


def test_stretches_of_the_prompts_do_not_overlap(collect, store):
    collect("one", max_prompts=8)
    first = [c.prompt.id for c in store.comparisons()]
    collect("two", max_prompts=8, stretch=1)
    second = [c.prompt.id for c in store.comparisons()][len(first) :]
    assert len(first) > 4 < len(second) and not set(first) & set(second)


def test_people_answer_while_it_is_stopped_and_started(collect, store, monkeypatch):
    """Ctrl-C in the middle of waiting; somebody answers meanwhile; it ends with the answers that were wanted."""
    desk, looks = Desk(store), []

    def somebody_answers(seconds):
        if len(looks) == 2 and "stopped" not in looks:
            looks.append("stopped")
            raise KeyboardInterrupt
        looks.append(seconds)
        task = desk.claim("ann")
        ranks = {item.letter: n for n, item in enumerate(task.items, start=1)}
        desk.submit("ann", task.task, new_id(), {"ranks": ranks})

    monkeypatch.setattr("heed.workflows.answers.time.sleep", somebody_answers)
    more = dict(by="human", tasks=5, answers=4, priority=2.0, overlap=2)
    with pytest.raises(KeyboardInterrupt):
        collect(**more)
    somebody_answers(0)  # nobody is waiting
    figures = collect(**more)
    assert (figures["comparisons"], figures["answers"]) == (5, 4)
    rows = Work(store).tasks()
    assert [(row.kind, row.priority, row.overlap) for row in rows] == [("rank", 2.0, 2)] * 5
    assert Counter(row.answers for row in rows) == {1: 4, 0: 1}, "what is left stays open"


def test_two_are_compared_with_how_much_better(collect, store, monkeypatch):
    desk = Desk(store)

    def somebody_answers(seconds):
        task = desk.claim("ann", ["pairwise"])
        desk.submit("ann", task.task, new_id(), {"preference": -3})

    monkeypatch.setattr("heed.workflows.answers.time.sleep", somebody_answers)
    figures = collect(by="human", kind="pairwise", num_generations=2, tasks=2)
    assert (figures["answers"], [r.judgement.strength for r in store.rankings()]) == (2, [3.0, 3.0])


def test_policies_share_the_places_and_are_compared(collect, store, sft, base):
    figures = collect(model=[base, sft], num_generations=4, temperature=1.5)
    made = [Counter(a.made_by.split("@")[0] for a in c.candidates) for c in store.comparisons()]
    assert max(sum(m.values()) for m in made) == 4 and Counter(map(str, made)).most_common(1)[0][0] in (
        str(Counter(sft=2, pretrain=2)), str(Counter(pretrain=2, sft=2)))  # fmt: skip
    a, b = (figures[f"preferred/{checkpoint_id(m)}"] for m in (base, sft))
    assert a["value"] + b["value"] == pytest.approx(1, abs=1e-5) and a["low"] < a["value"] < a["high"]


def test_samples_of_another_run(collect, store, tmp_path):
    rows = [{"prompt": to_json(Prompt(f"question {i}")), "made_by": "gpt", "completions": [
        {"text": "one"}, {"text": "one"}, {"text": "three " * (i > 1)}]} for i in range(1, 4)]
    (tmp_path / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    figures = collect(samples=str(tmp_path / "samples.jsonl"), model=[], dataset="", answers=2)
    assert (figures["comparisons"], figures["answers"]) == (3, 2), "it ends when two answers have arrived"
    assert ["one", ""] in [[a.text for a in c.candidates] for c in store.comparisons()]


def test_reward_models_choose(collect, store, reward, tmp_path):
    """margin: the pool's closest calls, by the reward model's own word."""
    collect(query="margin", reward_model=[reward], tasks=4)
    asked = [c.id for c in store.comparisons()]
    pool = [choosing.renamed(c, {}) for c in choosing.put_together(
        [read_samples(str(tmp_path / "out" / "sample-1" / "samples.jsonl"), 1)], 3)]  # fmt: skip
    gaps = {c.id: np.diff(np.sort(s.mean(0))).min() for c, s in
            zip(pool, choosing.RewardModels([reward])(pool), strict=True)}  # fmt: skip
    assert set(asked) == set(sorted(gaps, key=gaps.get)[:4])


def test_a_question_is_scored_alike_in_any_company(reward, sft):
    pool = [question(f"What has Ann today, number {i}?", "Ann has a boat.", "a net", "And more. " * i) for i in range(4)]
    together = choosing.RewardModels([reward, reward])(pool)
    assert [s.shape for s in together] == [(2, 3)] * 4
    for c, scores in zip(pool, together, strict=True):
        assert choosing.RewardModels([reward])([c])[0] == pytest.approx(scores[:1], abs=1e-5)


def question(prompt, *texts, made_by="x"):
    return Comparison(Prompt(prompt), tuple(Candidate(t, made_by, id=f"{made_by}{prompt}{i}") for i, t in enumerate(texts)))


def test_places_are_shared_by_turns():
    a = [question(p, "1", "2", "same", made_by="a") for p in "pq"] + [question("r", "x", "x", made_by="a")]
    b = [question(p, "3", "same", "4", made_by="b") for p in "pq"] + [question("r", "x", "x", made_by="b")]
    found = choosing.put_together([a, b], 4)
    assert [[(x.made_by, x.text) for x in c.candidates] for c in found] == [
        [("a", "1"), ("b", "3"), ("a", "2"), ("b", "same")], [("b", "3"), ("a", "1"), ("b", "same"), ("a", "2")]]
    assert [c.prompt.content for c in choosing.put_together([a, b], 5)] == ["p", "q"], "r has one text only"
    assert len(choosing.put_together([a, b], 9)[0].candidates) == 5, "five texts there are"


def test_prompts_of_the_same_words_lie_together():
    x, y, z = choosing.where([question("Where is Ann ?"), question("is ann where ?"), question("a boat")])
    assert x == pytest.approx(y) and abs(x @ z) < 1e-9 and x @ x == pytest.approx(1)


@pytest.mark.parametrize(("more", "message"), [
    ({"samples": "x.jsonl"}, "either samples, or model and dataset"),
    ({"dataset": ""}, "either samples, or model and dataset"),
    ({"query": "disagreement", "reward_model": "x"}, "needs at least 2 in reward_model, found 1"),
    ({"kind": "pairwise"}, "num_generations is 3"),
    ({"query": "marginal"}, "'margin' or 'diversity'"),
    ({"splits": "tes"}, "did you mean 'test'"),
])  # fmt: skip
def test_wrong_settings_are_named(collect, more, message):
    with pytest.raises(UserError, match=message):
        collect(**more)
