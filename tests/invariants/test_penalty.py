"""The price of leaving the reference, in the loss: each divergence by hand, and what a step against it does."""

import pytest
import torch

from heed.language.actor import Actor
from heed.language.penalty import EXACT, SAMPLED, divergence
from heed.language.policy import Policy
from heed.training.learner import Learner, Part

KINDS = [*SAMPLED, *EXACT]


def logs_by_hand(lm, rows):
    """log p of every token of the vocabulary before each completion token, one row at a time through transformers."""
    found = []
    for i, (n, m) in enumerate(zip(rows.prompt_lengths.tolist(), rows.completion_lengths.tolist(), strict=True)):
        ids = torch.cat([rows.prompt_ids[i, :n], rows.completion_ids[i, :m]])[None]
        found.append(lm(ids).logits[0, n - 1 : -1].log_softmax(-1))
    return torch.cat(found)


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_by_hand(kind, lm, other_lm, rows):
    p, q = logs_by_hand(lm, rows), logs_by_hand(other_lm, rows)
    chosen = torch.cat([c[:n] for c, n in zip(rows.completion_ids, rows.completion_lengths, strict=True)])[:, None]
    d, middle = (p - q).gather(1, chosen), torch.logaddexp(p, q) - torch.tensor(2.0).log()
    expected = {"k1": d, "k2": d**2 / 2, "k3": torch.expm1(-d) + d, "kl": p.exp() * (p - q), "forward_kl": q.exp() * (q - p),
                "js": (p.exp() * (p - middle) + q.exp() * (q - middle)) / 2, "tv": (p.exp() - q.exp()).abs() / 2}[kind].sum()
    found = divergence(kind, Actor(Policy(lm)), Policy(other_lm), rows)
    assert found.total.item() == pytest.approx(expected.item(), rel=1e-3) and found.count == rows.count


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "k1"])
def test_steps_against_it_lead_home(kind, lm, other_lm, rows):
    """k1 is left out: the gradient of its mean is nothing in expectation, and on six rows it is luck."""
    model, reference = Actor(Policy(lm)), Policy(other_lm)
    learner = Learner(model, lr=3e-3, micro_batch=4)
    steps = [learner.step(Part(rows, lambda m, b: divergence(kind, m, reference, b)))["loss"] for _ in range(12)]
    assert steps[-1] < 0.7 * steps[0]


def test_new_tokens_are_none_of_the_references(lm, other_lm, rows):
    """A policy with tokens of its own is compared on those that both have."""
    before = divergence("kl", Actor(Policy(lm)), Policy(other_lm), rows).total.item()
    lm.resize_token_embeddings(43, mean_resizing=False)
    assert divergence("kl", Actor(Policy(lm)), Policy(other_lm), rows).total.item() == pytest.approx(before, rel=1e-4)
