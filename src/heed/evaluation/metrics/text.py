"""What the writing is like: variety, repetition, endings, and how well text is predicted."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from heed.errors import UserError
from heed.evaluation.estimate import Estimate, Rows, by_cluster, finite, ratio, same_length, samples, share
from heed.evaluation.metrics.means import mean

_NO_INTERVAL = "no interval: compare on the same prompts and number of samples"


@dataclass(frozen=True)
class Perplexity:
    """`per_token` depends on the tokenizer; `bits_per_byte` compares across tokenizers."""

    per_token: Estimate
    bits_per_byte: Estimate


def distinct(texts: Sequence[str], n: int = 1) -> Estimate:
    """distinct-n: different word n-grams over all word n-grams, 0 where there are none; words are split at white space.

    It falls as there is more text, so compare equal numbers of samples.  Source: Li et al. 2016 (arXiv 1510.03055).
    """
    grams = [gram for text in texts for gram in _ngrams(text, n)]
    return Estimate(len(set(grams)) / max(1, len(grams)), None, None, len(texts), _NO_INTERVAL)


def self_bleu(texts: Sequence[str], *, sample: int = 64, seed: int = 0) -> Estimate:
    """Mean BLEU-4 of each text against all others, 0 to 1: 1 says that every text has been written before.

    Over a fixed random sample, because it grows with the number of texts.  sacrebleu's sentence BLEU (13a tokens,
    effective order).  Source: Zhu et al. 2018, Texygen (arXiv 1802.01886).
    """
    from sacrebleu.metrics import BLEU

    if len(texts) < 2:
        raise UserError(f"self-BLEU needs at least 2 texts, got {len(texts)}")
    drawn = np.random.default_rng(seed).permutation(len(texts))[:sample]
    texts = [texts[i] for i in drawn]
    bleu = BLEU(effective_order=True)
    scores = [bleu.sentence_score(t, texts[:i] + texts[i + 1 :]).score / 100 for i, t in enumerate(texts)]
    return Estimate(float(np.mean(scores)), None, None, len(texts), _NO_INTERVAL)


def repetition(
    texts: Sequence[Sequence[str]], n: int = 4, prompt_ids: Sequence[Hashable] | None = None, *, seed: int = 0
) -> Estimate:
    """Share of a completion's word n-grams that it has said before, a mean over completions; 0 for shorter ones.

    `texts` holds the completions of each prompt.  Source: Welleck et al. 2019 (seq-rep-n, arXiv 1908.04319).
    """
    return mean([[_repeated(text, n) for text in row] for row in texts], prompt_ids, seed=seed)


def unique_answers(texts: Sequence[Sequence[str]], *, seed: int = 0) -> Estimate:
    """Different completions over completions of a prompt, a mean over prompts with at least two; 1 / samples when a
    policy has collapsed to one answer."""
    shares = [len(set(row)) / len(row) for row in texts if len(row) > 1]
    if not shares:
        raise UserError("unique answers need a prompt with at least 2 completions")
    return mean(shares, seed=seed)


def ended(finished: Rows, prompt_ids: Sequence[Hashable] | None = None, *, seed: int = 0) -> Estimate:
    """Share of completions that ended by themselves (EOS) rather than at the length limit; `finished` is 0 or 1."""
    same_length(finished=finished, prompt_ids=prompt_ids)
    sums = np.array([[row.sum(), len(row)] for row in samples(finished, "finished")])
    return share(by_cluster(sums, prompt_ids), seed=seed)


def perplexity(nll: Sequence[float], tokens: Sequence[int], utf8_bytes: Sequence[int], *, seed: int = 0) -> Perplexity:
    """exp(sum of nll / sum of tokens), and sum of nll / (log 2 x sum of bytes), over documents.

    `nll`: the negative log-likelihood of each document in nats, summed over its tokens.
    """
    same_length(nll=nll, tokens=tokens, utf8_bytes=utf8_bytes)
    nll = finite(nll, "nll")
    a_token = ratio(np.stack([nll, finite(tokens, "tokens")], axis=1), seed=seed)
    a_byte = ratio(np.stack([nll / np.log(2), finite(utf8_bytes, "utf8_bytes")], axis=1), seed=seed)
    low, high = (None if bound is None else float(np.exp(bound)) for bound in (a_token.low, a_token.high))
    method = a_token.method.replace("prompt", "document")
    return Perplexity(
        Estimate(float(np.exp(a_token.value)), low, high, a_token.n, method),
        Estimate(a_byte.value, a_byte.low, a_byte.high, a_byte.n, method),
    )


def _ngrams(text: str, n: int) -> list[tuple[str, ...]]:
    words = text.split()
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def _repeated(text: str, n: int) -> float:
    grams = _ngrams(text, n)
    return 1 - len(set(grams)) / len(grams) if grams else 0.0
