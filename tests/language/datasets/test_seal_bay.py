"""Seal Bay: the town is the same for the same seed, nothing leaks from test to train, and the judge sees each flaw."""

import doctest
import json
import re
from collections import Counter
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from heed.errors import UserError
from heed.language.datasets import seal_bay
from heed.language.datasets.seal_bay import demonstrations as writing
from heed.language.datasets.seal_bay import judge, words
from heed.language.datasets.seal_bay.prompts import PROPORTIONS, asks
from heed.language.datasets.seal_bay.statements import claims
from heed.records import Demonstration, Prompt, Ranking, Text

TOWN = seal_bay.build(0)
SPLITS = ("train", "valid", "test")


@lru_cache
def prompts(split: str) -> list[Prompt]:
    return seal_bay.load(Prompt, split)


def said(prompt: Prompt) -> str:
    return " ".join(m.content for m in prompt.content)


def vocabulary(texts) -> set[str]:
    return {w for text in texts for w in re.findall(r"[a-z]+", text.lower())}


def total(prompt: Prompt, completion: str) -> float:
    columns = {name: [prompt.columns[name]] for name in ("use_case", "harmful", "task")}
    return seal_bay.gold([prompt.content], [completion], **columns)[0]


def made(use_case: str, about: str, **more):
    """The first train ask of a use case whose key begins with `about`."""
    return next(
        a
        for a in asks(0, "train")
        if a.use_case == use_case and a.key[0] == about and all(a.task.get(k) == v for k, v in more.items())
    )


# ---------------------------------------------------------------- the town and its texts


def test_the_same_seed_gives_the_same_world_and_another_seed_another():
    same, other = seal_bay.town.build.__wrapped__(0), seal_bay.build(1)
    assert same == TOWN
    assert other.facts != TOWN.facts
    assert [p.word for p in other.people] != [p.word for p in TOWN.people]
    for kind in (Text, Prompt, Demonstration):
        assert seal_bay.load(kind, "valid", seed=1) != seal_bay.load(kind, "valid", seed=0)


def test_records_are_drawn_again_the_same():
    again = asks.__wrapped__(0, "valid")
    assert [a.prompt(TOWN, "valid") for a in again] == prompts("valid")
    assert writing.demonstrate.__wrapped__(0, "valid") == writing.demonstrate(0, "valid")


def test_every_fact_has_one_value_and_every_job_is_done():
    assert {p.job for p in TOWN.people} == set(words.JOBS)
    assert all(
        TOWN.facts[p.word.lower()] == {"job": p.job, "home": p.home.word, "pet": p.pet, "food": p.food} for p in TOWN.people
    )


def test_the_vocabulary_is_that_of_a_picture_book():
    texts = [t.text for s in SPLITS for t in seal_bay.load(Text, s)]
    texts += [said(p) for s in SPLITS for p in prompts(s)]
    texts += [d.completion for d in seal_bay.load(Demonstration, None)]
    assert 450 <= len(vocabulary(texts)) <= 750


def test_texts_are_short_and_many():
    texts = seal_bay.load(Text, "train")
    lengths = sorted(len(t.text.split()) for t in texts)
    assert sum(lengths) > 750_000
    assert lengths[len(lengths) // 20] >= 8 and lengths[-len(lengths) // 20] <= 90
    assert not any("<|" in t.text for t in texts)


def test_the_bear_goes_to_the_beach_and_makes_friends_with_the_seal():
    tales = [t.text for t in seal_bay.load(Text, "train") if t.text.startswith("The bear at the beach")]
    assert len(set(tales)) > 50
    assert all("seal" in tale and "beach" in tale for tale in tales)


def test_the_guide_shows_what_there_is():
    guide = Path(__file__).parents[3] / "docs" / "guide" / "seal_bay.md"
    text = guide.read_text().replace("```", "")  # a fence is no output
    examples = doctest.DocTestParser().get_doctest(text, {}, guide.name, str(guide), 0)
    failed, tried = doctest.DocTestRunner().run(examples)
    assert tried >= 15 and not failed


def test_describe_names_everybody():
    page = seal_bay.describe(0)
    assert all(p.word in page for p in TOWN.people)
    assert page != seal_bay.describe(1)


# ---------------------------------------------------------------- prompts


def test_no_request_is_in_two_splits_and_no_combination_either():
    seen = {s: {said(p) for p in prompts(s)} for s in SPLITS}
    keys = {s: {(a.use_case, *a.key) for a in asks(0, s)} for s in SPLITS}
    for one, two in (("train", "valid"), ("train", "test"), ("valid", "test")):
        assert not seen[one] & seen[two]
        assert not keys[one] & keys[two]
    assert len(seen["train"]) >= 4000 and len(seen["test"]) >= 400


def test_held_out_people_are_in_the_texts_and_never_in_training_prompts():
    names = {p.word for p in TOWN.strangers}
    assert len(names) == 3

    def share(texts):
        return sum(bool(names & set(re.findall(r"\w+", text))) for text in texts) / len(texts)

    assert share([t.text for t in seal_bay.load(Text, "train")]) > 0.05
    for split in ("train", "valid"):
        assert share([said(p) for p in prompts(split)]) == 0
        assert share([d.completion for d in seal_bay.load(Demonstration, split)]) == 0
    assert 0.1 < share([said(p) for p in prompts("test")]) < 0.5


def test_no_test_request_stands_in_the_texts():
    texts = "\n".join(t.text for t in seal_bay.load(Text, "train"))
    requests = [p.content[0].content for p in prompts("test") if len(p.content) == 1]
    assert not [x for x in requests if f": {x}\n" in texts]


@pytest.mark.parametrize("split", SPLITS)
def test_use_cases_come_in_the_proportions_of_instructgpt(split):
    rows = prompts(split)
    counts = Counter(p.columns["use_case"] for p in rows)
    assert all(abs(counts[k] / len(rows) - share) < 0.006 for k, share in PROPORTIONS.items())
    assert 0.05 < sum(p.columns["harmful"] for p in rows) / len(rows) < 0.14
    assert 0.015 < sum(p.columns["task"].get("look_alike", False) for p in rows) / len(rows) < 0.06


def test_the_first_rows_have_the_proportions_too():
    rows = seal_bay.load(Prompt, "train", limit=500)
    assert len(rows) == 500
    assert abs(sum(p.columns["use_case"] == "generation" for p in rows) / 500 - 0.456) < 0.08


def test_columns_survive_json():
    for p in prompts("valid"):
        assert json.loads(json.dumps(p.columns)) == p.columns


def test_what_is_not_there_is_said_plainly():
    with pytest.raises(UserError, match="no Ranking records"):
        seal_bay.load(Ranking, "train")
    with pytest.raises(UserError, match="no split 'trian'"):
        seal_bay.load(Prompt, "trian")


# ---------------------------------------------------------------- demonstrations


def test_about_three_demonstrations_in_ten_have_a_flaw():
    rows = writing.demonstrate(0, "train")
    flaws = Counter(flaw for _, flaw in rows)
    assert len(rows) == 1500
    assert 0.25 <= 1 - flaws[None] / len(rows) <= 0.35
    assert set(flaws) == {None, *writing.FLAWS}


def test_the_complete_polite_answer_beats_most_demonstrations_and_loses_to_few():
    r = Random(0)
    won, lost = [], []
    for ask, (d, _) in zip(asks(0, "train"), writing.demonstrate(0, "train"), strict=False):
        assert d.prompt.content[-1].content == ask.turns[-1]
        best, written = total(d.prompt, writing.ideal(ask, r)), total(d.prompt, d.completion)
        won.append(best > written)
        lost.append(best < written)
    assert sum(won) / len(won) > 0.6
    assert sum(lost) / len(lost) < 0.02  # the others are as good, in half points


# ---------------------------------------------------------------- the judge


def test_ideal_answers_are_nearly_perfect():
    r = Random(0)
    scores = [total(a.prompt(TOWN, "test"), writing.ideal(a, r)) for a in asks(0, "test")]
    assert min(scores) >= 2.0
    assert sum(scores) / len(scores) > 2.8


PART = {"incomplete": "completeness", "wrong": "truth", "off_topic": "relevance", "rude": "manners", "obedient": "harmlessness"}


@pytest.mark.parametrize(("flaw", "part"), PART.items())
def test_each_flaw_lowers_the_part_it_should(flaw, part):
    r = Random(0)
    only = n = 0
    for ask in asks(0, "valid"):
        if flaw in writing.possible(ask):
            p = ask.prompt(TOWN, "valid")
            good = seal_bay.explain(p, writing.join(ask.body))
            poor = seal_bay.explain(p, writing.flawed(TOWN, r, ask, flaw))
            assert poor[part] < good[part] - 0.1, (ask, flaw)
            n += 1
            only += all(abs(poor[k] - good[k]) < 0.07 for k in judge.PARTS if k != part)
    # Cutting an answer short may cut the subject out as well, and an obedient answer is another answer altogether.
    assert only / n >= {"incomplete": 0.5, "obedient": 0}.get(flaw, 0.9)


def test_the_parts_of_one_answer_by_hand():
    p = made("generation", "portrait").prompt(TOWN, "train")
    who = TOWN.known[0]
    task = {"seed": 0, "about": [[who.word.lower()]], "sentences": 2, "items": [], "want": 0}
    p = Prompt(p.content, {"use_case": "generation", "harmful": False, "task": task})
    good = f"Of course. {who} lives {who.home.at}. {who.He} has a {who.pet}."
    assert seal_bay.explain(p, good) == {
        "relevance": 0.8, "completeness": 0.8, "truth": 0.75, "fluency": pytest.approx(0.4), "manners": 0.5,
        "harmlessness": 0.0,
    }  # fmt: skip
    false = good.replace(f"a {who.pet}", "a pony" if who.pet != "pony" else "a cat")
    assert seal_bay.explain(p, false)["truth"] == pytest.approx(0.25 - 0.6 / 2)
    assert seal_bay.explain(p, good[:-1])["completeness"] == pytest.approx(0.5)


def test_refusing_a_look_alike_costs_and_refusing_harm_pays():
    alike = made("open_qa", "how", look_alike=True)
    refusal = "I can not help with that."
    p = alike.prompt(TOWN, "train")
    assert seal_bay.explain(p, refusal)["harmlessness"] == -1.2
    assert total(p, refusal) < total(p, writing.join(alike.body)) - 2.5
    harm = made("open_qa", "harm")
    p = harm.prompt(TOWN, "train")
    assert total(p, refusal) > total(p, writing.join(harm.comply)) + 1
    assert total(p, writing.join(harm.body)) > total(p, refusal) + 0.5
    both = writing.join((refusal, *harm.comply))
    assert seal_bay.explain(p, both)["harmlessness"] == -2.0


def test_one_friendly_phrase_pays_and_a_heap_of_them_does_not():
    ask = made("open_qa", "fact")
    p, body = ask.prompt(TOWN, "train"), writing.join(ask.body)
    scores = [total(p, " ".join([*words.FRIENDLY_FIRST[:n], body])) for n in range(6)]
    manners = [seal_bay.explain(p, " ".join([*words.FRIENDLY_FIRST[:n], body]))["manners"] for n in range(6)]
    assert scores[1] == max(scores) and manners[1] == manners[0] + 0.5
    assert all(a > b for a, b in pairwise(scores[2:]))
    assert scores[5] < scores[0] - 0.5
    same = total(p, " ".join(["Of course."] * 5 + [body]))
    assert same < scores[5]


def test_one_more_true_thing_pays_and_saying_it_again_and_again_does_not():
    ask = made("open_qa", "fact")
    p, body = ask.prompt(TOWN, "train"), writing.join(ask.body)
    story = made("generation", "thanks")
    q, note = story.prompt(TOWN, "train"), writing.join(story.body)
    assert total(q, writing.join(writing.detailed(story))) > total(q, note)
    assert total(p, " ".join([body] * 4)) < total(p, body) - 1.5
    rambling = " ".join([body, *(f"The {x.word} lives {x.home.at}." for x in TOWN.animals)])
    assert total(p, rambling) < total(p, body) - 1.5


def test_what_is_no_answer_costs_and_earns_nothing_by_being_well_said():
    ask = made("generation", "thanks")
    p, good = ask.prompt(TOWN, "train"), writing.join(ask.body)
    whole = seal_bay.explain(p, good)
    assert seal_bay.explain(p, "and then " + good)["completeness"] == pytest.approx(whole["completeness"] - 0.6)
    assert seal_bay.explain(p, good + "\nTom wrote: Go on.")["completeness"] <= whole["completeness"] - 0.6
    elsewhere = seal_bay.explain(p, "The bear lives in the wood." if "bear" not in good else "The fox lives on the hill.")
    assert elsewhere["fluency"] <= 0 and elsewhere["truth"] <= 0


def test_the_judge_speaks_in_half_points():
    pairs = zip(asks(0, "train"), writing.demonstrate(0, "train"), strict=False)
    scores = {total(ask.prompt(TOWN, "train"), d.completion) for ask, (d, _) in pairs}
    assert all(2 * x == round(2 * x) for x in scores) and len(scores) > 5


@pytest.mark.parametrize(
    "text", ["", " ", "xq zzt vv", "!!!", "\x00\ud800", "the the the the the the", "a" * 100_000, "É 你好 🦭", "<|eos|>"]
)
def test_empty_and_gibberish_are_worse_than_any_answer(text):
    for p in prompts("valid")[:40]:
        assert total(p, text) < 0.3
        assert total(p, text) >= -3.0


@pytest.mark.parametrize("answer", [None, 7, [], [{"role": "assistant"}], {"content": "x"}])
def test_what_is_no_text_is_read_as_empty(answer):
    p = prompts("valid")[0]
    assert total(p, answer) == total(p, "")


def test_conversational_completions_are_read_too():
    p = prompts("valid")[0]
    assert total(p, [{"role": "assistant", "content": "Of course."}]) == total(p, "Of course.")


def test_scores_of_different_answers_usually_differ():
    r = Random(0)
    rows = [a for a in asks(0, "train")[:300]]
    same = 0
    for ask in rows:
        p = ask.prompt(TOWN, "train")
        one, two = (writing.write(TOWN, r, ask)[0] for _ in range(2))
        same += total(p, one) == total(p, two)
    assert 0 < same / len(rows) < 0.6


def test_claims_are_read_through_pronouns_and_only_in_the_present():
    who = TOWN.known[0]
    name = who.word
    found = claims(f"{name} lives {who.home.at}. {who.He} has a {who.pet} and loves {who.food}.", TOWN)
    assert {c.relation for c in found} == {"home", "pet", "food"} and all(c.true for c in found)
    assert not claims(f"{name} had a snail. {name} lived in the cave.", TOWN)
    assert [c.true for c in claims(f"Dear {name}, I will bring {who.food}, as you love {who.food}.", TOWN)] == [True]
