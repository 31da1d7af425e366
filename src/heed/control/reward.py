"""The reward predictor: an ensemble of small networks that learns which segments people prefer.

Christiano et al. 2017, section 2.2.3: each member learns from a sample of the answers drawn with replacement, and the
answers it did not draw, 1/e of them, tell how strong its L2 penalty should be.  A segment's score is the sum of its
steps' rewards, undiscounted.  All members are computed together, one matrix product a layer.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from heed.algorithms.rating_model import Regression
from heed.algorithms.reward_model import RewardModel
from heed.control.policy import Normaliser
from heed.control.segments import Segments
from heed.equations.loss import Loss
from heed.equations.preference import bradley_terry
from heed.equations.rating import regression
from heed.experience import Ranked, Rated
from heed.training.learner import Learner, Part
from heed.training.schedule import seed_of

RATIO = (1.1, 1.5)  # where validation loss / training loss is held
L2_RANGE = (1e-7, 1e-1)
LOOK_AT = 256  # answers, at most, from which that ratio is told


class Ensemble(nn.Module):
    """`members` networks of two hidden layers, leaky ReLU 0.01: [K, N, inputs] -> [K, N]."""

    def __init__(self, inputs: int, members: int = 3, hidden: int = 64):
        super().__init__()
        self.members = members
        sizes = [(inputs, hidden), (hidden, hidden), (hidden, 1)]
        bounds = [a**-0.5 for a, _ in sizes]
        self.weights = nn.ParameterList(
            [torch.empty(members, *size).uniform_(-r, r) for size, r in zip(sizes, bounds, strict=True)])
        self.biases = nn.ParameterList([torch.zeros(members, 1, b) for _, b in sizes])

    def forward(self, x: Tensor) -> Tensor:
        """Rewards of steps; x [N, inputs] goes to every member, [K, N, inputs] to each its own."""
        x = x.expand(self.members, *x.shape[-2:])
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x, weight)
            if i < len(self.weights) - 1:
                x = nn.functional.leaky_relu_(x, 0.01)
        return x.squeeze(-1)

    def score(self, candidates: "Clips") -> Tensor:
        """One number for each segment of each member, in the order of the members: [K * N]."""
        k, n, t, d = candidates.inputs.shape
        return self(candidates.inputs.reshape(k, n * t, d)).view(k, n, t).sum(2).flatten()

    def squares(self) -> Tensor:
        """Sum of the squared weights of each member, [K]."""
        return torch.stack([(w * w).sum((1, 2)) for w in self.weights]).sum(0)


@dataclass(frozen=True)
class Clips:
    """Segments as members see them: [K, N, T, inputs]."""

    inputs: Tensor


@dataclass(frozen=True)
class Pairs:
    """A batch of answers for each member, as the learner takes it: never cut, for a member's rows belong together."""

    judged: Ranked | Rated

    def __len__(self) -> int:
        return 1

    @property
    def count(self) -> Tensor:
        """How many answers, over all members."""
        return self.judged.count

    def select(self, index: Tensor) -> "Pairs":
        """All of it."""
        return self


@dataclass
class Answers:
    """Everything that was answered so far: pairs of segments and which was preferred (1 left, 0 right, 0.5 tie).

    Where scores were asked for, `preferred` holds the two numbers of each pair instead.
    """

    left: Segments | None = None
    right: Segments | None = None
    preferred: list[float] | list[list[float]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.preferred)

    def add(self, left: Segments, right: Segments, preferred: list) -> None:
        """Append; nothing is ever taken away."""
        self.left = left if self.left is None else self.left + left
        self.right = right if self.right is None else self.right + right
        self.preferred += preferred


class Predictor:
    """The ensemble, how it is fitted, and the reward that an agent is paid."""

    def __init__(self, obs_size: int, action_size: int, *, members: int = 3, hidden: int = 64, lr: float = 1e-3,
                 batch: int = 64, noise: float = 0.1, l2: float = 1e-4, adapt_l2: bool = True, scores: bool = False,
                 ema: float = 0.0, seed: int = 0):
        torch.manual_seed(seed_of("predictor", seed))
        self.ensemble = Ensemble(obs_size + action_size, members, hidden)
        self.learner = Learner(self.ensemble, lr=lr, max_grad_norm=1e6, micro_batch=1, ema=ema)
        self.loss = Regression(0.0, 1.0) if scores else RewardModel(ties="half", noise=noise)
        self.batch, self.noise, self.seed, self.adapt_l2 = batch, noise, seed, adapt_l2
        self.l2 = torch.full((members,), l2)
        self.draws = np.zeros((members, 0), np.int64)  # how often each member drew each answer; 0 is held out
        self.steps, self.since = 0, 0  # taken in all, and since the penalty was looked at
        self.figures: dict[str, float] = {}  # what was seen then

    def fit(self, answers: Answers, normaliser: Normaliser, steps: int, random: np.random.Generator) -> dict[str, float]:
        """`steps` steps over what each member drew; after every pass the L2 penalty is adapted to what it did not draw."""
        self._draw(len(answers))
        inputs = torch.stack([torch.from_numpy(features(s, normaliser)) for s in (answers.left, answers.right)], 1)
        preferred = torch.tensor(answers.preferred)
        if preferred.ndim == 2:  # scores, on the scale that a reward has in the end
            preferred = (preferred - preferred.mean()) / (preferred.std() + 1e-8)
        every = max(1, round(len(answers) / self.batch))
        for index in self._order(steps, random):
            self.learner.step(Part(_pairs(inputs, preferred, index), self._penalised))
            self.steps, self.since = self.steps + 1, self.since + 1
            if self.since >= every:
                self.since = 0
                looked = random.permutation(len(answers))[:LOOK_AT]
                self.figures = self._held_out(inputs[looked], preferred[looked], self.draws[:, looked])
        return self.figures

    def _penalised(self, model: Ensemble, batch: Pairs) -> Loss:
        found = self.loss.loss(model, batch.judged)
        return found._replace(total=found.total + found.count * (self.l2 * model.squares()).mean())

    def _draw(self, n: int) -> None:
        """Poisson(1) draws for new answers: a sample with replacement that can grow (Oza & Russell 2001)."""
        for i in range(self.draws.shape[1], n):
            column = np.random.default_rng(seed_of("bag", self.seed, i)).poisson(1.0, (len(self.draws), 1))
            self.draws = np.concatenate([self.draws, column], 1)

    def _order(self, steps: int, random: np.random.Generator) -> NDArray:
        """[steps, K, batch]: which answers each member reads, pass after pass over what it drew."""
        need, rows = steps * self.batch, []
        for draws in self.draws:
            drawn = np.repeat(np.arange(len(draws)), draws)
            drawn = drawn if len(drawn) else np.arange(len(draws))
            passes = [random.permutation(drawn) for _ in range(-(-need // len(drawn)))]
            rows.append(np.concatenate(passes)[:need].reshape(steps, self.batch))
        return np.stack(rows, 1)

    @torch.no_grad()
    def _held_out(self, inputs: Tensor, preferred: Tensor, draws: NDArray) -> dict[str, float]:
        """Losses on what each member drew and did not draw; where the ratio leaves RATIO, its penalty follows."""
        n, sides, t, d = inputs.shape
        scores = self.ensemble(inputs.reshape(n * sides * t, d)).view(-1, n, sides, t).sum(3)
        if preferred.ndim == 2:
            loss = regression(scores, preferred).mean(-1).float()
            preferred = (preferred[:, 0] > preferred[:, 1]).float()
        else:
            loss = bradley_terry(scores[..., 0], scores[..., 1], preferred, noise=self.noise)
        correct = ((scores[..., 0] > scores[..., 1]).float() - preferred).abs() < 0.5
        drawn = torch.from_numpy(draws).float()
        out, clear = (drawn == 0).float(), (preferred != 0.5).float()
        train = (loss * drawn).sum(1) / drawn.sum(1).clamp(min=1)
        valid = (loss * out).sum(1) / out.sum(1).clamp(min=1)
        ratio = torch.where(out.sum(1) > 0, valid / train.clamp(min=1e-6), sum(RATIO) / 2)
        if self.adapt_l2:
            step = torch.where(ratio > RATIO[1], 1.5, torch.where(ratio < RATIO[0], 1 / 1.5, 1.0))
            self.l2 = (self.l2 * step).clamp(*L2_RANGE)
        held = float((correct * out * clear).sum() / (out * clear).sum().clamp(min=1))
        return {"reward/train_loss": train.mean().item(), "reward/valid_loss": valid.mean().item(),
                "reward/ratio": ratio.mean().item(), "reward/l2": self.l2.log().mean().exp().item(),
                "reward/held_out_accuracy": held}

    def weights(self) -> dict[str, Tensor]:
        """Those that rewards come from: the running average, where there is one.

        The last steps of the fit are noise to the agent: without the average its returns fell by half every few rounds
        (log/2026-11-27-control.md).
        """
        return self.learner.average or {n: p.detach() for n, p in self.ensemble.named_parameters()}

    @torch.no_grad()
    def members(self, obs: NDArray, actions: NDArray, normaliser: Normaliser) -> NDArray[np.float32]:
        """Each member's rewards as they are, [K, ...] for obs [..., do] and actions [..., da]."""
        x = np.concatenate([normaliser(obs), actions], -1)
        found = torch.func.functional_call(self.ensemble, self.weights(), torch.from_numpy(x.reshape(-1, x.shape[-1])))
        return found.view(-1, *x.shape[:-1]).numpy()

    def __call__(self, obs: NDArray, actions: NDArray, normaliser: Normaliser) -> NDArray[np.float64]:
        """The reward of every step: each member's with mean 0 and deviation 1 over these steps, then averaged."""
        found = self.members(obs, actions, normaliser).astype(np.float64)
        flat = found.reshape(len(found), -1)
        self.shift, self.spread = flat.mean(1), flat.std(1) + 1e-8
        return self._averaged(found)

    def rate(self, obs: NDArray, actions: NDArray, normaliser: Normaliser) -> NDArray[np.float64]:
        """The reward of further steps, on the scale of the last call."""
        return self._averaged(self.members(obs, actions, normaliser).astype(np.float64))

    def _averaged(self, found: NDArray) -> NDArray[np.float64]:
        wide = (len(found), *[1] * (found.ndim - 1))
        return ((found - self.shift.reshape(wide)) / self.spread.reshape(wide)).mean(0)

    def state(self) -> dict[str, Tensor]:
        """All that is not in the learner."""
        seen = {f"seen.{k}": torch.tensor([v], dtype=torch.float64) for k, v in self.figures.items()}
        return {"l2": self.l2, "counts": torch.tensor([self.steps, self.since]), **seen}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take up what `state` gave."""
        self.l2 = tensors["l2"].clone()
        self.steps, self.since = tensors["counts"].tolist()
        self.figures = {k.removeprefix("seen."): float(v[0]) for k, v in tensors.items() if k.startswith("seen.")}


def features(segments: Segments, normaliser: Normaliser) -> NDArray[np.float32]:
    """[N, T, do + da]"""
    return np.concatenate([normaliser(segments.obs), segments.actions], -1)


def _pairs(inputs: Tensor, preferred: Tensor, index: NDArray) -> Pairs:
    """Answers `index` [K, B] as one batch of K * B groups of two, or of 2 * K * B scores."""
    k, b = index.shape
    picked = torch.from_numpy(index)
    clips = inputs[picked].reshape(k, 2 * b, *inputs.shape[2:])
    if preferred.ndim == 2:
        return Pairs(Rated(Clips(clips), preferred[picked].flatten()))
    p = preferred[picked].flatten()
    ranks = torch.stack([torch.where(p >= 0.5, 1, 2), torch.where(p <= 0.5, 1, 2)], 1)
    return Pairs(Ranked(Clips(clips), ranks))
