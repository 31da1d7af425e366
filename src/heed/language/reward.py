"""Where a completion's reward comes from: reward models, functions with TRL's signature, and weighted sums of both."""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from heed.config import resolve_function
from heed.errors import RunError, UserError
from heed.language.batches import Tokens
from heed.language.models import disable_dropout, load_classifier
from heed.language.policy import ScalarModel, base_of
from heed.records import Prompt


class ModelReward:
    """A reward model of heed's (a one-label sequence classifier), reading the sampled ids themselves."""

    def __init__(self, model: ScalarModel, micro_batch: int = 32):
        self.model, self.micro_batch = model, micro_batch

    @torch.no_grad()
    def __call__(self, rows: Tokens, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[float | None]:
        parts = torch.arange(len(rows)).split(self.micro_batch)
        return torch.cat([self.model.score(rows.select(i)) for i in parts]).tolist()


class BesideLength(nn.Module):
    """A reward model in training, with a weight on the logarithm of an answer's length beside it.

    What length explains of people's choices is learnt there and not in the score; used without it, the model has no taste for
    length of its own (as Dubois et al. 2024 take length out of win rates).
    """

    STEP = 10.0  # one number among millions moves as far in a step as each of them: not far enough

    def __init__(self, model: ScalarModel):
        super().__init__()
        self.model, self.weight = model, nn.Parameter(torch.zeros(()))

    def score(self, rows: Tokens) -> torch.Tensor:
        """[B] the score and what length adds to it."""
        return self.model.score(rows) + self.STEP * self.weight * torch.log1p(rows.completion_lengths.float())


class FunctionReward:
    """A function f(prompts, completions, **columns) -> list[float | None]; an async one is awaited."""

    def __init__(self, function: Callable, name: str):
        self.function, self.name = function, name

    def __call__(self, rows: Tokens | None, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[float | None]:
        scores = call_reward_function(self.function, prompts, texts)
        if not hasattr(scores, "__len__") or isinstance(scores, str | bytes):
            raise UserError(f"reward function {self.name}: expected a list of numbers or None, got {scores!r:.60}")
        if len(scores) != len(texts):
            raise UserError(f"reward function {self.name}: gave {len(scores)} scores for {len(texts)} completions")
        bad = next((s for s in scores if s is not None and not isinstance(s, int | float)), None)
        if bad is not None:
            raise UserError(f"reward function {self.name}: expected numbers or None, got {bad!r}")
        wild = [s for s in scores if s is not None and not math.isfinite(s)]
        if wild:
            raise RunError(f"reward function {self.name}: gave {wild[0]} for a completion")
        return list(scores)


def call_reward_function(function: Callable, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[float | None]:
    """Call with TRL's arguments: prompts, completions, and every column that all the prompts have."""
    shared = set.intersection(*(set(p.columns) for p in prompts)) if prompts else set()
    columns = {name: [p.columns[name] for p in prompts] for name in sorted(shared)}
    scores = function(prompts=[p.trl() for p in prompts], completions=list(texts), **columns)
    if inspect.isawaitable(scores):
        import asyncio

        async def wait():
            return await scores

        scores = asyncio.run(wait())
    return scores


class Reward:
    """A weighted sum of rewards; what one of them does not say (None) counts as nothing.

    `ensemble` names those that are opinions of the same thing, and `combine` how they are made one: their weighted sum, the
    mean, the least (Coste et al. 2024: worst-case), or the mean minus a standard deviation (lower_bound).
    """

    def __init__(self, parts: Mapping[str, tuple[Callable, float]], ensemble: Sequence[str] = (), combine: str = "sum"):
        self.parts, self.ensemble, self.combine = dict(parts), tuple(ensemble), combine

    def __call__(self, rows: Tokens, prompts: Sequence[Prompt], texts: Sequence[str]) -> tuple[torch.Tensor, dict[str, float]]:
        """Scores [B], and the mean of each part."""
        total, means, opinions = torch.zeros(len(texts)), {}, []
        for name, (part, weight) in self.parts.items():
            said = part(rows, prompts, texts)
            numbers = torch.tensor([0.0 if s is None else float(s) for s in said])
            if not torch.isfinite(numbers).all():
                raise RunError(f"reward {name!r} gave {numbers[~torch.isfinite(numbers)][0]} for a completion")
            if self.combine != "sum" and name in self.ensemble:
                opinions.append(weight * numbers)
            else:
                total += weight * numbers
            known = [s for s in said if s is not None]
            means[name] = sum(known) / len(known) if known else 0.0
        if opinions:
            several = torch.stack(opinions)
            spread = several.std(0, unbiased=False) if self.combine == "lower_bound" else 0.0
            total += several.amin(0) if self.combine == "min" else several.mean(0) - spread
        return total, means


def load_reward_model(name: str, tokenizer, *, packing: bool = True, beside: nn.Module | None = None) -> ScalarModel:
    """A trained reward model, frozen; UserError where it reads other token ids than the policy writes.

    `beside`: a policy with LoRA adapters that it may share its base with (see load_classifier)."""
    classifier = disable_dropout(load_classifier(name, fresh_head=False, beside=beside)).eval().requires_grad_(False)
    rows = base_of(classifier).get_input_embeddings().weight.shape[0]
    if rows < len(tokenizer):
        raise UserError(f"reward model {name} has {rows} token ids, the policy's tokenizer {len(tokenizer)}: "
                        "they must share a tokenizer")
    return ScalarModel(classifier, packing=packing)


def make_reward(models: Sequence[str], functions: Sequence[str], weights: Sequence[float], tokenizer, *,
                packing: bool = True, combine: str = "sum", beside: nn.Module | None = None) -> Reward:
    """The reward of a run, from the names in its settings; `weights` follow models, then functions (default 1 each).

    `combine`: what several models come to (see Reward); `beside`: a policy with LoRA whose base they may share."""
    names = [*models, *functions]
    if not names:
        raise UserError("a reward is required: reward_model (a directory) or reward_functions (module:function)")
    if weights and len(weights) != len(names):
        raise UserError(f"reward_weights has {len(weights)} numbers for {len(names)} rewards ({', '.join(names)})")
    weight = dict(zip(names, weights or [1.0] * len(names), strict=True))
    parts: dict[str, Any] = {m: (ModelReward(load_reward_model(m, tokenizer, packing=packing, beside=beside)), weight[m])
                             for m in models}
    parts |= {f: (FunctionReward(resolve_function(f, "reward function"), f), weight[f]) for f in functions}
    return Reward(parts, models, combine)
