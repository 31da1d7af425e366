"""What TRL's trainers make of the same numbers (written by benchmarks/trl_losses.py, repeated here without TRL)."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from heed.algorithms.reward_model import RewardModel
from heed.algorithms.sft import SFT
from heed.experience import Ranked


def golden(name):
    return json.loads((Path(__file__).parent / f"{name}.json").read_text())


@pytest.mark.parametrize("case", golden("trl_reward")["cases"],
                         ids=lambda c: f"margin={c['margin'] is not None} centring={c['centring']}")
def test_reward_loss_of_two_candidates(case):
    """The scores stand in for a model; a pair is a ranking of two."""
    scores = torch.tensor(case["scores"])
    margin = None if case["margin"] is None else torch.tensor(case["margin"])
    batch = Ranked(scores.flatten(), torch.tensor([1, 2]).expand(len(scores), 2), margin)
    model = SimpleNamespace(score=lambda candidates: candidates)
    loss = RewardModel(center_rewards_coefficient=case["centring"]).loss(model, batch)
    assert abs(loss.total / loss.count - case["loss"]) < 1e-6
    right, pairs = loss.metrics["accuracy"]
    assert (right / pairs).item() == pytest.approx(case["accuracy"])


def test_supervised_loss_on_the_response_alone():
    """The logits stand in for a model; the mask is the one TRL made of prompt and completion."""
    case = golden("trl_sft")
    logits, tokens = torch.tensor(case["logits"]), torch.tensor(case["tokens"])
    logprobs = logits[:, :-1].log_softmax(-1).gather(2, tokens[:, 1:, None])[:, :, 0]

    def loss(mask):
        found = SFT().loss(lambda batch: SimpleNamespace(logprobs=logprobs), SimpleNamespace(mask=mask[:, 1:]))
        return (found.total / found.count).item()

    assert abs(loss(torch.tensor(case["response"])) - case["loss"]) < 1e-6
    assert abs(loss(tokens != 0) - case["loss"]) > 0.01  # the prompts would have changed it
