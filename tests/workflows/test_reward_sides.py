"""The choices of the reward side: what one batch element is, how K answers are compared, ensembles, and length set apart."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from heed.algorithms.reward_model import RewardModel
from heed.config import make
from heed.equations.preference import plackett_luce
from heed.experience import Ranked
from heed.language.batches import make_tokens
from heed.language.reward import BesideLength, Reward
from heed.training.learner import Learner, Part
from heed.workflows import reward as workflow


def test_pairs_of_a_ranking_by_hand():
    """1 > 2 > {3, 3} and 1 > 2: five pairs and one, each a group of two with its better one first."""
    ranked = Ranked(make_tokens([[1]] * 6, [[i] for i in range(10, 16)], groups=[0] * 4 + [1] * 2),
                    torch.tensor([[2, 1, 3, 3], [1, 2, 0, 0]]), torch.tensor([0.5, 2.0]), torch.arange(6.0))
    found = ranked.pairs()
    chosen = found.candidates.completion_ids[:, 0].view(-1, 2).tolist()
    assert chosen == [[10, 12], [10, 13], [11, 10], [11, 12], [11, 13], [14, 15]]
    assert found.ranks.tolist() == [[1, 2]] * 6 and found.margin.tolist() == [0.5] * 5 + [2.0]
    assert found.ref_logprobs.tolist() == [0, 2, 0, 3, 1, 0, 1, 2, 1, 3, 4, 5]


def test_the_order_of_a_ranking_as_choices():
    scores, ranks = torch.tensor([1.0, 0.0, -1.0]), torch.tensor([[1, 2, 3]])
    loss = RewardModel(ranking="plackett_luce").loss(SimpleNamespace(score=lambda c: c), Ranked(scores, ranks))
    by_hand = (torch.logsumexp(scores, 0) - 1.0) + (torch.logsumexp(scores[1:], 0) - 0.0)
    assert loss.total.item() == pytest.approx(by_hand.item()) == pytest.approx(plackett_luce(scores[None], ranks).item())


@pytest.mark.parametrize(("combine", "expected"), [
    ("sum", [4.0, 6.0]), ("mean", [2.0, 3.0]), ("min", [1.0, 2.0]), ("lower_bound", [1.0, 2.0])])
def test_an_ensemble_by_hand(combine, expected):
    """Two reward models, and a function that is none of their opinions."""
    def say(*scores):
        return lambda rows, prompts, texts: list(scores)
    parts = {"a": (say(1.0, 2.0), 1.0), "b": (say(3.0, 4.0), 1.0), "f": (say(10.0, None), 0.1)}
    found, means = Reward(parts, ["a", "b"], combine)(None, [None] * 2, ["x", "y"])
    assert found.tolist() == pytest.approx([expected[0] + 1.0, expected[1]]) and means["b"] == 3.5


def test_what_length_explains_is_not_in_the_score():
    """People prefer the longer of two in eight of ten: one score for all is what remains, where length may explain itself."""
    class Taste(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a = torch.nn.Parameter(torch.zeros(()))

        def score(self, rows):
            return self.a * (rows.completion_ids[:, 0] == 7).float()  # a word that good answers begin with
    rows, ranks = [], []
    for i in range(40):
        word, longer_won = i % 2, i % 10 > 1
        rows += [[7 if word else 8] + [9] * 8, [8] * 1]
        ranks.append([1, 2] if longer_won else [2, 1])
    ranked = Ranked(make_tokens([[1]] * 80, rows, groups=[i // 2 for i in range(80)]), torch.tensor(ranks))
    learnt = {}
    for name, model in (("plain", Taste()), ("beside", BesideLength(Taste()))):
        learner = Learner(model, lr=0.05, micro_batch=64)
        for _ in range(200):
            learner.step(Part(ranked, RewardModel().loss))
        learnt[name] = getattr(model, "model", model).a.item()
    assert learnt["plain"] > 2 * abs(learnt["beside"]), "the word stood in the longer answer, which is all there was to it"


@pytest.mark.parametrize("change", [{"batch_of": "pairs"}, {"ranking": "plackett_luce"}, {"length_debias": True}], ids=str)
def test_each_choice_trains_a_plain_reward_model(change, data, sft, tmp_path):
    workflow.run(make(workflow.Reward, {**dict(
        output_dir=str(tmp_path / "run"), model=sft, dataset=data["rankings"], max_length=80, batch_size=8, max_steps=6,
        learning_rate=1e-2, shift_prompts=4, max_completion_length=6, micro_batch=8), **change}))
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert rows[5]["loss"] < rows[0]["loss"]
    assert json.loads(Path(tmp_path / "run" / "model" / "config.json").read_text())["architectures"] == [
        "LlamaForSequenceClassification"]
