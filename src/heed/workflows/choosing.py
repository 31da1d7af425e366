"""Which questions to ask: the candidates that could be put together, how reward models score them, and the choice."""

import zlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle

import numpy as np

from heed.errors import UserError
from heed.records import Candidate, Comparison, content_id

WORDS = 512  # places of the features of a prompt


def put_together(groups: Sequence[Sequence[Comparison]], k: int) -> list[Comparison]:
    """One comparison of at most `k` different texts a prompt, from several policies' candidates for the same prompts.

    The policies take turns, and each prompt begins with another, so that none has more places, nor the first claim to a text
    that two of them wrote.  A prompt with fewer than two different texts is left out: there is nothing to prefer.
    """
    made = []
    for turn, several in enumerate(zip(*groups, strict=True)):
        begin = turn % len(several)
        sources = [iter(c.candidates) for c in (*several[begin:], *several[:begin])]
        found = list(taken(sources, k).values())
        if len(found) > 1:
            prompt = several[0].prompt
            made.append(Comparison(prompt, tuple(found), content_id("comparison", prompt.id, *(c.id for c in found))))
    return made


def taken(sources: list, k: int) -> dict[str, Candidate]:
    """The first `k` different texts, the sources taking turns, by text."""
    found: dict[str, Candidate] = {}
    left = list(sources)
    for source in cycle(sources):
        if len(found) == k or not left:
            return found
        if source in left:
            new = next((c for c in source if c.text not in found), None)
            if new is None:
                left.remove(source)
            else:
                found[new.text] = new
    return found


def choose(
    how: str, comparisons: Sequence[Comparison], n: int, reward_models: Sequence[str], asked: Sequence[Comparison], seed: int
) -> list[Comparison]:
    """The `n` that are most worth asking, by one of heed.feedback.queries."""
    from heed.feedback import queries

    wanted = {"disagreement": 2, "margin": 1}.get(how, 0)
    if len(reward_models) < wanted:
        raise UserError(f"query = {how!r} needs at least {wanted} in reward_model, found {len(reward_models)}")
    scores = RewardModels(reward_models)(comparisons) if wanted else [np.zeros((1, len(c.candidates))) for c in comparisons]
    features = [where(comparisons), where(asked)] if how == "diversity" else [None, None]
    pool = queries.Pool(scores, features[0], features[1] if asked else None)
    return [comparisons[i] for i in queries.choose(how, pool, n, seed)]


class RewardModels:
    """Reward models that look at comparisons, reading candidates as training reads them."""

    def __init__(self, directories: Sequence[str]):
        from heed.language.chat import load_tokenizer
        from heed.language.reward import load_reward_model

        tokenizers = [load_tokenizer(name) for name in directories]
        self.members = [(t, load_reward_model(name, t)) for name, t in zip(directories, tokenizers, strict=True)]

    def __call__(self, comparisons: Sequence[Comparison]) -> list[np.ndarray]:
        """[members, K] for each comparison."""
        found = [self._of(tokenizer, model, comparisons) for tokenizer, model in self.members]
        return [np.stack(members) for members in zip(*found, strict=True)]

    def means(self, comparisons: Sequence[Comparison]) -> list[list[float]]:
        """[K] for each comparison, over the members."""
        return [scores.mean(axis=0).tolist() for scores in self(comparisons)]

    def _of(self, tokenizer, model, comparisons: Sequence[Comparison]) -> list[np.ndarray]:
        from heed.language.batches import make_tokens
        from heed.language.chat import encode_completion, encode_prompt
        from heed.language.models import context_length
        from heed.language.policy import base_of
        from heed.language.reward import ModelReward

        longest = context_length(base_of(model.classifier))
        prompts, completions, groups = [], [], []
        for i, c in enumerate(comparisons):
            own = [list(a.tokens) if a.tokens and max(a.tokens) < len(tokenizer) else encode_completion(tokenizer, a.text)
                   for a in c.candidates]
            prompt = encode_prompt(tokenizer, c.prompt)[-(longest - min(max(map(len, own)), longest // 2)) :]
            prompts += [prompt] * len(own)
            completions += [a[: longest - len(prompt)] for a in own]
            groups += [i] * len(own)
        scores = np.array(ModelReward(model)(make_tokens(prompts, completions, groups=groups), [], []))
        return np.split(scores, np.flatnonzero(np.diff(groups)) + 1)


def where(comparisons: Sequence[Comparison]) -> np.ndarray:
    """[n, WORDS]: the words of each prompt, hashed, as a unit vector."""
    places = np.zeros((len(comparisons), WORDS))
    for i, c in enumerate(comparisons):
        text = c.prompt.content if isinstance(c.prompt.content, str) else " ".join(m.content for m in c.prompt.content)
        for word in text.lower().split():
            places[i, zlib.crc32(word.encode("utf-8", "surrogatepass")) % WORDS] += 1
    return places / np.maximum(np.linalg.norm(places, axis=1, keepdims=True), 1e-9)


def renamed(comparison: Comparison, names: dict[str, str]) -> Comparison:
    """The same with the makers of its candidates called by their ids."""
    return replace(comparison, candidates=tuple(replace(c, made_by=names.get(c.made_by, c.made_by))
                                                for c in comparison.candidates))
