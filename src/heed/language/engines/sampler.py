"""From logits to tokens, with random numbers that belong to the completion and not to the order of the work."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from heed.protocols import Sampling

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
U64 = 0xFFFFFFFFFFFFFFFF


def _mix(x: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014): every input bit reaches every output bit."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def uniforms(seed: int, completions: Sequence[tuple[int, int]], count: int) -> Tensor:
    """float32 [completions, count] in [0, 1): number t decides token t of a completion (prompt, sample).

    Counter-based: the same four integers give the same number whatever else was drawn before.
    """
    key = _mix(np.array([seed & U64], np.uint64) + GOLDEN)
    for part in np.array(completions, np.uint64).reshape(-1, 2).T:
        key = _mix(key + (part + np.uint64(1)) * GOLDEN)
    bits = _mix(key[:, None] + np.arange(1, count + 1, dtype=np.uint64) * GOLDEN)
    return torch.from_numpy((bits >> np.uint64(40)).astype(np.float32) / np.float32(2**24))


def truncate(logits: Tensor, top_k: int, top_p: float) -> Tensor:
    """float [rows, vocab] with -inf where top-k, and then top-p among what is left, cut.

    top-p keeps the smallest set of most likely tokens whose probability reaches `top_p` (Holtzman et al. 2020).
    Ties with the k-th logit are kept, as in transformers.
    """
    if 0 < top_k < logits.shape[-1]:
        logits = logits.masked_fill(logits < logits.topk(top_k, dim=-1).values[:, -1:], -torch.inf)
    if top_p < 1:
        ordered, order = logits.sort(dim=-1)
        cut = ordered.softmax(dim=-1).cumsum(dim=-1) <= 1 - top_p
        cut[:, -1] = False
        logits = logits.masked_fill(cut.scatter(1, order, cut), -torch.inf)
    return logits


def pick(logits: Tensor, u: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """Tokens int64 [rows] and their float32 log-probabilities [rows] from logits [rows, vocab] and uniforms u [rows].

    Log-probabilities are those of softmax(logits / temperature) before truncation; of softmax(logits) when greedy.
    """
    logits = logits.float()
    if sampling.temperature == 0:
        best = logits.max(dim=-1)
        return best.indices, best.values - logits.logsumexp(dim=-1)
    if sampling.temperature != 1:
        logits = logits / sampling.temperature
    probabilities = logits.softmax(dim=-1)
    whole = sampling.top_k == 0 and sampling.top_p == 1
    drawn = probabilities if whole else truncate(logits, sampling.top_k, sampling.top_p).softmax(dim=-1)
    cumulative = drawn.cumsum(dim=-1)
    # Inverse CDF: the first token whose cumulative mass exceeds u * mass.  Just below 1, so that rounding cannot
    # reach the end and land on a token of no probability.
    token = torch.searchsorted(cumulative, u[:, None].clamp(max=1 - 2**-22) * cumulative[:, -1:], right=True)
    return token[:, 0], probabilities.gather(1, token)[:, 0].log()
