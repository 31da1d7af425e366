"""Rankings as tensors: the K answers of a prompt stay together, encoded once each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from heed.experience import Ranked
from heed.language.batches import make_tokens, rectangle
from heed.language.chat import encode_completion, encode_prompt
from heed.records import Ranking


@dataclass(frozen=True)
class EncodedRankings:
    """`ranked` for training; `lengths` [groups][K] in characters and `prompt_ids` for what is said about it."""

    ranked: Ranked
    lengths: list[list[int]]
    prompt_ids: list[str]
    pairs: int  # with a winner
    dropped: int  # rankings without a usable pair

    @property
    def groups(self) -> int:
        """How many rankings there are."""
        return len(self.prompt_ids)


def encode_rankings(tokenizer, rows: Sequence[Ranking], max_length: int, usable: Callable[[Sequence[int]], bool],
                    use_margins: bool = False) -> EncodedRankings:
    """Sampled ids where the candidates have them, else text with EOS; a long prompt loses its beginning, an answer its end.

    Answers that cutting made identical are one answer: keeping both would teach that a text beats itself.
    """
    prompts, completions, groups, ranks, margins, lengths, ids = [], [], [], [], [], [], []
    for row in rows:
        answers = [list(c.tokens) if c.tokens and _own(tokenizer, c.tokens) else encode_completion(tokenizer, c.text)
                   for c in row.comparison.candidates]
        room = max_length - min(max(map(len, answers), default=0), max_length // 2)
        prompt = encode_prompt(tokenizer, row.prompt)[-room:]
        cut = [a[: max_length - len(prompt)] for a in answers]
        kept = [i for i, a in enumerate(cut) if len(a) == len(answers[i]) or a not in cut[:i]]
        order = [row.ranks[i] for i in kept]
        if not usable(order):
            continue
        prompts += [prompt] * len(kept)
        completions += [cut[i] for i in kept]
        groups += [len(ids)] * len(kept)
        ranks.append(order)
        margins.append(row.judgement.strength if use_margins and row.judgement.strength else 0.0)
        lengths.append([len(row.completions[i]) for i in kept])
        ids.append(row.prompt.id)
    tokens = make_tokens(prompts, completions, groups=groups)
    ranked = Ranked(tokens, rectangle(ranks)[0], torch.tensor(margins) if use_margins else None)
    pairs = sum(a < b for r in ranks for a in r for b in r)
    return EncodedRankings(ranked, lengths, ids, pairs, len(rows) - len(ids))


def _own(tokenizer, ids: Sequence[int]) -> bool:
    return max(ids) < len(tokenizer)
