"""What a reward model learns from: ratings as well as rankings, and what its accuracy is measured against."""

import json
import math
import random
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from heed.errors import UserError
from heed.experience import Ranked
from heed.feedback.store import open_store
from heed.language.batches import make_tokens
from heed.language.chat import load_tokenizer
from heed.language.datasets import load
from heed.language.ratings import encode_ratings
from heed.records import Candidate, Message, Prompt, Ranking, Rating, content_id, split_of
from heed.workflows import reward
from heed.workflows.judgements import log_loss, tokens_of


@pytest.fixture(scope="session")
def reviews(data):
    """Labelled texts, a word of each saying all; the test file holds some of the training texts again."""
    rng, rows = random.Random(1), []
    for i in range(240):
        good = rng.random() < 0.5
        text = f"{rng.choice(['Ann', 'Ben', 'Cat'])} number {i} has a {'boat' if good else 'rope'}."
        rows.append({"text": text, "label": int(good)})
    folder = data["place"] / "reviews"
    folder.mkdir()
    for name, part in (("reviews", rows[:200]), ("more", rows[:20] + rows[200:])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in part))
    return folder


def learn(model, out, **changes):
    return reward.run(reward.Reward(**{**dict(
        output_dir=str(out), model=model, learn_from="ratings", max_length=24, batch_size=16, micro_batch=16,
        num_train_epochs=4, learning_rate=1e-2, shift_prompts=8, max_completion_length=8), **changes}))


@pytest.mark.parametrize("ratings_as", ["ordinal", "regression"])
def test_a_reward_model_learns_from_labels(base, reviews, tmp_path, ratings_as):
    found = learn(base, tmp_path / "out", ratings_as=ratings_as, dataset=str(reviews / "reviews.jsonl"),
                  test_dataset=str(reviews / "more.jsonl"))
    assert found["test_accuracy"]["value"] > 0.9
    again = [json.loads(line)["text"] for line in (reviews / "more.jsonl").read_text().splitlines()[:20]]
    unseen = 40 + sum(split_of(content_id(text)) == "test" for text in again)
    assert found["test_accuracy"]["n"] == unseen, "texts that were trained on are no test"
    assert 0.5 <= found["test_accuracy_constant"] < 0.7
    assert found["test_accuracy_longer_wins"]["value"] < 0.9
    assert found["eval_accuracy"]["low"] < 0.99 < found["eval_accuracy"]["high"]


def test_rankings_are_measured_beside_what_reads_nothing(sft, data, tmp_path):
    rows = [{"prompt": f"What has number {i}?", "chosen": "a net", "rejected": "a very long net"} for i in range(30)]
    (tmp_path / "more.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    found = learn(sft, tmp_path / "out", dataset=data["rankings"], test_dataset=str(tmp_path / "more.jsonl"),
                  learn_from="rankings", max_length=80)
    assert found["test_accuracy"]["n"] == 30
    assert found["test_accuracy_constant"] == 0.5
    assert found["test_accuracy_longer_wins"]["value"] == 0.0, "short answers were the better ones"


def test_the_log_loss_of_held_out_rankings_and_the_tokens_of_a_pass_by_hand():
    """Prompts of 2 tokens: scores 2 > 1 > 0 as given, 0 < 1 the wrong way round, and two answers that were tied."""
    answers = [[7], [7, 8], [7, 8, 9], [7], [8], [9], [9, 9]]
    ranked = Ranked(make_tokens([[1, 2]] * 7, answers, groups=[0] * 3 + [1] * 2 + [2] * 2),
                    torch.tensor([[1, 2, 3], [1, 2, 0], [1, 1, 0]]))
    scores = torch.tensor([2.0, 1.0, 0.0, 0.0, 1.0, 3.0, 4.0])
    found = log_loss(SimpleNamespace(ranked=ranked, prompt_ids=["a", "b", "c"]), scores)

    def lost(difference):
        return math.log1p(math.exp(-difference))

    assert found["value"] == pytest.approx(((lost(1) + lost(1) + lost(2)) / 3 + lost(-1)) / 2)
    assert found["low"] < found["value"] < found["high"] and found["n"] == 2
    assert tokens_of(ranked) == (2 + 6) + (2 + 2) + (2 + 3)
    assert tokens_of(ranked.pairs()) == (2 + 3) + (2 + 4) + (2 + 5) + (2 + 2)


def test_a_text_rated_by_itself_is_read_from_its_own_first_token(base):
    tokenizer = load_tokenizer(base)
    text = "Ann has a boat. Ben sees the boat."
    whole = tokenizer(text)["input_ids"]
    alone = Rating(Prompt(""), Candidate(text), "x", {"stars": 3.0}, 1, 5)
    answer = Rating(Prompt((Message("user", "What?"),)), Candidate(text), "x", {"a": 1.0, "b": 2.0}, 1, 5)
    tokenizer.chat_template = tokenizer.chat_template or "{{ messages[0]['content'] }}"
    found = encode_ratings(tokenizer, [alone, answer], 64)
    rows = [found.tokens.prompt_ids[i, :n].tolist() + found.tokens.completion_ids[i, :m].tolist()
            for i, (n, m) in enumerate(zip(found.tokens.prompt_lengths, found.tokens.completion_lengths, strict=True))]
    assert rows[0] == [*whole, tokenizer.eos_token_id]
    assert rows[1][-len(whole) - 1:] == rows[0]
    assert found.scores == [3.0, 1.5]
    cut = encode_ratings(tokenizer, [alone], 6)
    assert [cut.tokens.prompt_ids[0, 0].item(), *cut.tokens.completion_ids[0].tolist()] == whole[:6], "cut before its EOS"


def test_ratings_where_there_are_none(base, data, tmp_path):
    with pytest.raises(UserError, match="cannot be read as ratings"):
        learn(base, tmp_path / "out", dataset=data["rankings"])


@pytest.fixture
def stores(data, tmp_path):
    """The rankings divided between two stores."""
    rankings = load(data["rankings"], Ranking, split=None)
    places = [str(tmp_path / f"{name}.db") for name in ("one", "two")]
    for place, part in zip(places, (rankings[:20], rankings[20:]), strict=True):
        with open_store(place) as store:
            store.add([r for ranking in part for r in (ranking.comparison, ranking.judgement)])
    return places


def made(place):
    return json.loads((place / "lineage.json").read_text())


def test_several_stores_are_read_as_one_and_one_up_to_a_watermark(sft, stores, tmp_path):
    few = {"learn_from": "rankings", "max_length": 80, "max_steps": 1}
    learn(sft, tmp_path / "both", store=stores, **few)
    learn(sft, tmp_path / "some", store=stores[0], upto=7, **few)
    with open_store(stores[0]) as store:
        seven, all_of_one = (len(store.rankings(split="train", upto=n)) for n in (7, None))
    with open_store(stores[1]) as store:
        assert made(tmp_path / "both")["rankings"] == all_of_one + len(store.rankings(split="train"))
    assert (made(tmp_path / "some")["rankings"], made(tmp_path / "some")["upto"]) == (seven, 7)
    for wrong in ({"store": stores}, {"dataset": stores[0]}):
        with pytest.raises(UserError, match="numbers the answers of one store"):
            learn(sft, tmp_path / "wrong", upto=7, **wrong, **few)


def test_a_reward_model_goes_on_from_another(sft, reward, data, tmp_path):
    """With no step taken it scores as the one before, shifted anew so that the SFT model's answers have mean 0."""
    before = json.loads((Path(reward).parent / "summary.json").read_text())
    found = learn(sft, tmp_path / "on", start_from=reward, dataset=data["rankings"], learn_from="rankings", max_length=80,
                  max_steps=1, learning_rate=0.0, shift_prompts=16, max_completion_length=12)
    assert found["reward_shift"] == pytest.approx(before["reward_shift"], abs=1e-5)
    assert made(tmp_path / "on")["parent"] == reward
    again = learn(sft, tmp_path / "afresh", dataset=data["rankings"], learn_from="rankings", max_length=80, max_steps=1,
                  learning_rate=0.0, shift_prompts=16, max_completion_length=12)
    assert again["reward_shift"] != pytest.approx(before["reward_shift"], abs=1e-3)
