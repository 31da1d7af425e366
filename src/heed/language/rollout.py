"""Act and be judged: prompts -> completions -> log-probabilities, values, KL and rewards, as one Experience.

Ziegler et al. 2019, equation 2: the reward of a completion is its score minus beta times log pi(y|x) / pi_ref(y|x).  The
penalty is paid at every token, the score at the last one (the EOS, or where the budget ran out).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from heed.equations.divergence import k1, k3
from heed.experience import Experience
from heed.language.batches import Tokens, Told, make_tokens
from heed.language.chat import decode
from heed.language.policy import ActorCritic, Policy
from heed.language.reward import Reward
from heed.protocols import Engine, Sampling
from heed.records import Prompt


@dataclass(frozen=True)
class Acted:
    """Completions as they were sampled, one a row; `n` rows of a prompt lie side by side."""

    prompts: list[Prompt]
    tokens: Tokens
    texts: list[str]
    finished: Tensor  # [B] bool: ended with EOS

    def told(self, words: Sequence[int]) -> "Acted":
        """The same with the last token of every prompt, the best of `words`, as something that the policy alone is told."""
        plain = replace(self.tokens, prompt_lengths=self.tokens.prompt_lengths - 1)
        return replace(self, tokens=Told.best(plain, words))


def act(engine: Engine, tokenizer, prompts: Sequence[Prompt], prompt_ids: Sequence[list[int]], sampling: Sampling) -> Acted:
    """Sample `sampling.n` completions of every prompt."""
    found = engine.generate(prompt_ids, sampling)
    rows = [(i, c) for i, group in enumerate(found) for c in group]
    tokens = make_tokens([prompt_ids[i] for i, _ in rows], [c.tokens for _, c in rows], groups=[i for i, _ in rows])
    return Acted([prompts[i] for i, _ in rows], tokens, [decode(tokenizer, c.tokens) for _, c in rows],
                 torch.tensor([c.finished for _, c in rows]))


def best_of(acted: Acted, scores: Tensor, n: int) -> Acted:
    """Of each `n` completions that lie side by side, the one with the highest score (best-of-n, Nakano et al. 2021)."""
    index = scores.view(-1, n).argmax(1) + n * torch.arange(len(scores) // n)
    return Acted([acted.prompts[i] for i in index], acted.tokens.select(index), [acted.texts[i] for i in index],
                 acted.finished[index])


@dataclass(frozen=True)
class Judged:
    """An Experience and the figures of its making."""

    experience: Experience
    scores: Tensor  # [B] what the reward said, after the penalty for a missing EOS
    kl: Tensor  # [B] log pi / pi_ref summed over a completion: k1, unbiased, may be negative
    figures: dict[str, float]


@torch.no_grad()
def judge(acted: Acted, model: ActorCritic, reference: Policy | None, reward: Reward, *, kl_coef: float,
          missing_eos_penalty: float | None, micro_batch: int, autocast=nullcontext) -> Judged:
    """Score completions; `reference` None means that `model`'s LoRA adapters are switched off for it.

    Log-probabilities come from the training model in the micro-batches that the first PPO epoch will use, so that its
    ratios are exactly 1.
    """
    rows = acted.tokens
    logprobs, values, entropy = _by_parts(rows, micro_batch, autocast, lambda part: model(part, entropy=True))
    with reference_of(model, reference) as ref:
        ref_logprobs, _, _ = _by_parts(rows, micro_batch, autocast, ref)
    with autocast():
        scores, parts = reward(rows, acted.prompts, acted.texts)
    if missing_eos_penalty is not None:
        scores = scores - missing_eos_penalty * (~acted.finished).float()
    mask = rows.mask
    kl = k1(logprobs, ref_logprobs) * mask
    last = (rows.completion_lengths - 1)[:, None]
    end = torch.zeros_like(mask).scatter(1, last, 1.0)
    rewards = -kl_coef * kl + end * scores[:, None]
    experience = Experience(rows, logprobs, values, rewards, end, mask, torch.zeros(len(rows)), ref_logprobs=ref_logprobs,
                            finished=acted.finished.float())
    sequence_kl = kl.sum(1)
    figures = {
        "objective/kl": sequence_kl.mean().item(),
        "objective/kl_k3": (k3(logprobs, ref_logprobs) * mask).sum(1).mean().item(),
        "objective/entropy": (entropy * mask).sum(1).mean().item(),
        "objective/scores": scores.mean().item(),
        "objective/scores_std": scores.std(unbiased=False).item(),
        "objective/non_score_reward": (-kl_coef * sequence_kl).mean().item(),
        "objective/rlhf_reward": (scores - kl_coef * sequence_kl).mean().item(),
        "completions/mean_length": rows.completion_lengths.float().mean().item(),
        "val/num_eos_tokens": acted.finished.float().mean().item(),
        **({f"rewards/{name}": mean for name, mean in parts.items()} if len(parts) > 1 else {}),
    }
    return Judged(experience, scores, sequence_kl, figures)


@contextmanager
def reference_of(model: ActorCritic, reference: Policy | None) -> Iterator[Policy]:
    """The reference policy: a frozen copy, or the policy itself without its adapters."""
    if reference is not None:
        yield reference
    else:
        with model.policy.reference():
            yield model.policy


def _by_parts(rows: Tokens, micro_batch: int, autocast, read) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """(logprobs, values, entropy) of all rows, each [B, T]."""
    B, T = rows.completion_ids.shape
    results = [torch.zeros(B, T), torch.zeros(B, T), torch.zeros(B, T)]
    for index in torch.arange(B).split(micro_batch):
        with autocast():
            out = read(rows.select(index))
        for whole, part in zip(results, (out.logprobs, out.values, out.entropy), strict=True):
            if part is not None:
                whole[index, : part.shape[1]] = part.float()
    return results[0], results[1], results[2]
