"""The smallest world with a known best: four arms, a reference that prefers the worse ones, and what each arm pays."""

from dataclasses import dataclass
from itertools import combinations
from types import SimpleNamespace

import torch
from torch import nn

from heed.experience import Experience, Ranked
from heed.training.learner import Learner, Part

REFERENCE = torch.tensor([0.4, 0.3, 0.2, 0.1])
REWARD = torch.tensor([-0.2, 0.1, 0.25, 0.3])
BETA = 0.25  # price of a nat


def best(beta=BETA, reward=REWARD):
    """pi_ref exp(r / beta) / Z: the best policy there is where a nat costs beta (Rafailov et al. 2023, equation 4)."""
    weight = REFERENCE * (reward / beta).exp()
    return weight / weight.sum()


def apart(p, q):
    """Total variation: the largest difference in what the two say of any event."""
    return (p - q).abs().sum().item() / 2


@dataclass(frozen=True)
class Pulls:
    """Which arm was pulled [N, 1]: a completion of one token."""

    arms: torch.Tensor
    mask: torch.Tensor

    @classmethod
    def of(cls, arms):
        arms = torch.as_tensor(arms)[:, None]
        return cls(arms, torch.ones(arms.shape))

    def __len__(self):
        return len(self.arms)

    @property
    def count(self):
        return self.mask.sum()

    def select(self, index):
        return Pulls(self.arms[index], self.mask[index])


@dataclass(frozen=True)
class Told(Pulls):
    """Pulls, each behind a word [N] that says how good it was."""

    word: torch.Tensor

    def behind(self, word):
        return Told(self.arms, self.mask, word)

    def select(self, index):
        return Told(self.arms[index], self.mask[index], self.word[index])


class Listener(nn.Module):
    """A policy behind each of `words`, beginning at the reference."""

    def __init__(self, words):
        super().__init__()
        self.table = nn.Parameter(REFERENCE.log().repeat(words, 1))

    def both(self, pulls):
        return self.table[pulls.word], REFERENCE.log().expand(len(pulls), 4), pulls.arms[:, 0]

    def best(self):
        return self.table[-1].detach().softmax(0)


class Gambler(nn.Module):
    """A logit an arm, beginning at the reference, and one value for the only state."""

    def __init__(self, begin=REFERENCE):
        super().__init__()
        self.logits, self.value = nn.Parameter(begin.log()), nn.Parameter(torch.zeros(()))

    def forward(self, pulls, entropy=False):
        logs = self.logits.log_softmax(0)
        return SimpleNamespace(logprobs=logs[pulls.arms], values=self.value * torch.ones(pulls.arms.shape),
                               entropy=-(logs.exp() * logs).sum().expand(pulls.arms.shape) if entropy else None)

    def policy(self):
        return self.logits.detach().softmax(0)


def comparisons(prefers, copies=100):
    """Every pair of arms `copies` times, the first of it preferred in prefers(i, j) of them, each a ranking of two."""
    arms, ranks = [], []
    for i, j in combinations(range(4), 2):
        won = round(copies * float(prefers(i, j)))
        arms += [i, j] * copies
        ranks += [[1, 2]] * won + [[2, 1]] * (copies - won)
    pulls = Pulls.of(arms)
    return Ranked(pulls, torch.tensor(ranks), ref_logprobs=REFERENCE.log()[pulls.arms[:, 0]])


def bradley_terry(i, j):
    """People who answer by the reward in units of beta."""
    return torch.sigmoid(REWARD[i] - REWARD[j])


def certain(i, j):
    """People who never err."""
    return float(REWARD[i] > REWARD[j])


def learn(loss, batch, *, begin=REFERENCE, steps=120, lr=0.1, prepare=None):
    """The policy after full-batch steps of a falling rate."""
    gambler = Gambler(begin)
    learner = Learner(gambler, lr=lr, micro_batch=100_000, max_grad_norm=1e9)
    for step in range(steps):
        seen = prepare(gambler, batch) if prepare else batch
        learner.step(Part(seen, loss), lr=lr * (1 - step / steps))
    return gambler.policy()


@torch.no_grad()
def act(gambler, n, kl_coef, generator):
    """`n` pulls in the shares of the policy (so that luck is in their order alone), with a price on the KL."""
    place = (torch.arange(n) + torch.rand((), generator=generator)) / n
    arms = torch.bucketize(place, gambler.policy().cumsum(0)[:-1])[torch.randperm(n, generator=generator)]
    pulls = Pulls.of(arms)
    now = gambler(pulls)
    ref = REFERENCE.log()[pulls.arms]
    one = torch.ones(n, 1)
    return Experience(pulls, now.logprobs, now.values, REWARD[pulls.arms] - kl_coef * (now.logprobs - ref), one, one,
                      torch.zeros(n), ref_logprobs=ref, finished=torch.ones(n))


def play(algorithm, *, kl_coef=BETA, steps=200, n=512, lr=0.05):
    """The policy after rounds of acting and learning."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    gambler = Gambler()
    learner = Learner(gambler, lr=lr, micro_batch=100_000, max_grad_norm=1e9)
    for step in range(steps):
        algorithm.update(learner, algorithm.credit(act(gambler, n, kl_coef, generator)), lr=lr * (1 - step / steps))
    return gambler.policy()
