"""What TRL's trainers make of the same numbers (written by benchmarks/trl_losses.py, repeated here without TRL)."""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from heed.equations.loss import summed
from heed.equations.preference import bradley_terry, centre, kwise


def golden(name):
    return json.loads((Path(__file__).parent / f"{name}.json").read_text())


@pytest.mark.parametrize("case", golden("trl_reward")["cases"],
                         ids=lambda c: f"margin={c['margin'] is not None} centring={c['centring']}")
def test_reward_loss_of_two_candidates(case):
    scores = torch.tensor(case["scores"])
    margin = None if case["margin"] is None else torch.tensor(case["margin"])
    found = kwise(scores, torch.tensor([1, 2]).expand(len(scores), 2), margin=margin)
    loss = summed(found.loss + case["centring"] * centre(scores), found.pairs > 0)
    assert abs(loss.total / loss.count - case["loss"]) < 1e-6
    assert (found.correct.sum() / found.pairs.sum()).item() == pytest.approx(case["accuracy"])
    pairwise = bradley_terry(scores[:, 0], scores[:, 1], margin=0.0 if margin is None else margin)
    assert torch.allclose(pairwise, found.loss)


def test_supervised_loss_on_the_response_alone():
    case = golden("trl_sft")
    logits, tokens = torch.tensor(case["logits"]), torch.tensor(case["tokens"])
    response = torch.tensor(case["response"])
    logprobs = F.log_softmax(logits[:, :-1], -1).gather(2, tokens[:, 1:, None])[:, :, 0]
    loss = summed(-logprobs, response[:, 1:])
    assert abs(loss.total / loss.count - case["loss"]) < 1e-6
    everything = summed(-logprobs, tokens[:, 1:] != 0)
    assert abs(everything.total / everything.count - case["loss"]) > 0.01  # the prompts would have changed it
