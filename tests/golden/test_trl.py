"""What TRL's trainers make of the same numbers (written by benchmarks/trl_losses.py, repeated here without TRL)."""

import ast
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from heed.algorithms.dpo import DPO
from heed.algorithms.f_dpo import FDPO
from heed.algorithms.grpo import GRPO
from heed.algorithms.ipo import IPO
from heed.algorithms.kto import KTO
from heed.algorithms.orpo import ORPO
from heed.algorithms.reward_model import RewardModel
from heed.algorithms.rloo import RLOO
from heed.algorithms.robust_dpo import RobustDPO
from heed.algorithms.rso import RSO
from heed.algorithms.sft import SFT
from heed.algorithms.simpo import SimPO
from heed.experience import Experience, Labelled, Ranked


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


KINDS = {kind.__name__: kind for kind in (DPO, FDPO, GRPO, IPO, KTO, ORPO, RLOO, RSO, RobustDPO, SimPO)}


class Rows:
    """Token log-probabilities that stand in for tokens and for the model that reads them."""

    def __init__(self, logprobs, mask):
        self.logprobs, self.mask = logprobs, mask

    def select(self, index):
        return Rows(self.logprobs[index], self.mask[index])


def algorithm_of(case):
    """From the words written beside the case: `DPO(beta=0.3, ...)`."""
    kind, values = case["algorithm"].removesuffix(")").split("(")
    return KINDS[kind](**{k: ast.literal_eval(v) for k, v in (pair.split("=") for pair in values.split(", "))})


@pytest.mark.parametrize("case", golden("trl_methods")["cases"], ids=lambda c: c["name"])
def test_losses_of_policies(case):
    """TRL's loss from the same token log-probabilities; the gradients are compared where TRL is (benchmarks/)."""
    algorithm, rows = algorithm_of(case), Rows(torch.tensor(case["logprobs"]), torch.tensor(case["mask"]))
    ref = None if case["ref"] is None else torch.tensor(case["ref"])
    if "old" in case:
        n = len(rows.mask)
        e = Experience(rows, torch.tensor(case["old"]), torch.zeros(rows.mask.shape), torch.tensor(case["rewards"]),
                       torch.zeros(rows.mask.shape), rows.mask, torch.zeros(n), ref_logprobs=ref, finished=torch.ones(n))
        batch = algorithm.credit(e)
    elif "kl" in case:
        nothing = torch.zeros(len(rows.mask))
        batch = Labelled(rows, torch.tensor(case["desirable"]), ref, rows, nothing, nothing + case["kl"])
    else:
        batch = Ranked(rows, torch.tensor([[1, 2]]).expand(len(rows.mask) // 2, 2), ref_logprobs=ref)
    loss = algorithm.loss(lambda inputs: inputs, batch)
    found = (loss.total / loss.count).item() * case.get("factor", 1)
    if case["name"] == "dpo + sft":  # heed's second part of a step
        best = Rows(rows.logprobs[::2], rows.mask[::2])
        beside = SFT().loss(lambda inputs: inputs, best)
        found += 0.5 * (beside.total / beside.count).item()
    assert abs(found - case["loss"]) < 1e-5
